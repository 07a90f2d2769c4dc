/** `collect`: gives back the space of what has been removed. */
import { InvalidArgumentError, type Command } from 'commander';
import type { CollectReport } from '../index.ts';
import { parseByteCount } from './byte-count.ts';
import { EXIT_STATUS } from './exit-status.ts';
import { withProgress } from './progress.ts';
import { runOnStore, storeCommand, type StoreCommandOptions } from './store-command.ts';
import { count, formatBytes, formatFacts, printable } from './text.ts';

interface CollectCommandOptions extends StoreCommandOptions {
  readonly dryRun?: boolean;
  readonly waste?: number;
  readonly maxBytes?: number;
  readonly maxSeconds?: number;
}

const HELP = `
Snapshots that are marked as removed can no longer be undeleted afterwards.
It runs beside captures and restores, and may be stopped at any time: the next
one goes on. Packs that the catalog does not know are never deleted. The exit
status is 3 when something is damaged: it stays, with all that it might need.`;

/** The command. */
export function collectCommand(signal: AbortSignal): Command {
  return storeCommand('collect', 'give back the space of removed snapshots')
    .option('--dry-run', 'say what would be freed, and change nothing')
    .option('--waste <percent>', 'waste that a pack may hold, 30 unless given', percentOf)
    .option('--max-bytes <size>', 'bytes of packs to write at most, such as 1G', parseByteCount)
    .option('--max-seconds <seconds>', 'begin nothing new after this time', numberOf)
    .addHelpText('after', HELP)
    .action(async (options: CollectCommandOptions) => {
      const { dryRun, maxBytes, maxSeconds, waste } = options;
      await runOnStore(
        options,
        async (store) => {
          const report = await withProgress((onProgress) =>
            store.collect({
              dryRun,
              maxBytes,
              maxMilliseconds: maxSeconds === undefined ? undefined : maxSeconds * 1000,
              wasteThreshold: waste,
              signal,
              onProgress,
            }),
          );
          if (report.damage.length > 0) process.exitCode = EXIT_STATUS.corrupt;
          return { document: report, lines: linesOf(report) };
        },
        {},
      );
    });
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0) return value;
  throw new InvalidArgumentError('It is not a number from 0 on.');
}

function percentOf(text: string): number {
  const value = numberOf(text);
  if (value <= 100) return value / 100;
  throw new InvalidArgumentError('It is not from 0 to 100.');
}

function linesOf(report: CollectReport): string[] {
  const { dryRun, droppedPacks, compactedPacks, waitingPacks } = report;
  const freed = report.unlinkedBytes - report.writtenBytes;
  const facts = formatFacts([
    ['unneeded', [`${count(report.deadPages, 'page')}, ${formatBytes(report.deadBytes)}`]],
    ['snapshots', [`${report.condemnedSnapshots} gone for good`]],
    ['packs', [`${droppedPacks} dropped, ${compactedPacks} compacted`]],
    [dryRun ? 'would free' : 'freed', [formatBytes(Math.max(0, freed))]],
    ['waiting', waitingPacks === 0 ? [] : [`${formatBytes(report.waitingBytes)} still in use`]],
    ['complete', dryRun ? [] : [completeness(report)]],
  ]);
  const unknown = report.unknownPacks.map((path) => printable(`unknown pack: ${path}`));
  return [...facts, ...report.damage.map((message) => printable(`damage: ${message}`)), ...unknown];
}

function completeness({ complete, damage }: CollectReport): string {
  if (complete) return 'yes';
  return damage.length > 0 ? 'no: something is damaged' : 'no: run it again';
}
