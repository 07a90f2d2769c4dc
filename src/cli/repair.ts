/** `repair`: makes a store usable again whose catalog or packs are damaged. */
import { Option, type Command } from 'commander';
import { SnapshotStore, type UnrepairedSnapshot, type RepairReport } from '../index.ts';
import { EXIT_STATUS } from './exit-status.ts';
import { printResult } from './output.ts';
import { withProgress } from './progress.ts';
import { storeCommand, type StoreCommandOptions } from './store-command.ts';
import { count, formatBytes, printable } from './text.ts';

interface RepairOptions extends StoreCommandOptions {
  readonly dryRun?: boolean;
  readonly level: 'quick' | 'packs';
}

const REPAIR_HELP = `
The catalog is built anew from the packs when it is damaged, missing, or an
older copy; lost pages that a later capture has brought again are put back; what
cannot be read is moved to the store's directory damaged/, and nothing is
deleted. Nobody may have the store open, unless with --dry-run.

Every snapshot that cannot be restored as it was captured is a line; the exit
status is 3 when there is one. What is left of one that is partly lost can be
restored with 'restore --partial'.`;

/** The command. */
export function repairCommand(signal: AbortSignal): Command {
  return storeCommand('repair', 'make a damaged store usable again')
    .option('--dry-run', 'only say what would be done')
    .addOption(
      new Option('--level <level>', 'how much of the packs to read')
        .choices(['quick', 'packs'])
        .default('quick'),
    )
    .addHelpText('after', REPAIR_HELP)
    .action(async (options: RepairOptions) => {
      const { store, dryRun, level } = options;
      const report = await withProgress((onProgress) =>
        SnapshotStore.repair(store, { dryRun, level, signal, onProgress }),
      );
      if (report.snapshots.lost.length > 0) process.exitCode = EXIT_STATUS.corrupt;
      const lines = linesOf(report).map(printable);
      await printResult({ document: report, lines }, options.json ?? false);
    });
}

function linesOf({ dryRun, reasons, packs, snapshots, changes }: RepairReport): string[] {
  const would = dryRun ? 'would be done: ' : '';
  const damaged = packs.damaged.map(
    ({ name, problem, now }) => `pack ${name}: ${problem} (${now})`,
  );
  return [
    ...reasons.map((reason) => `catalog: ${reason}`),
    ...damaged,
    ...changes.map((change) => would + change),
    ...snapshots.lost.map(lineOf),
    `${count(snapshots.whole, 'snapshot')} whole, ${snapshots.lost.length} lost or partly lost`,
  ];
}

function lineOf({ id, timeline, sequence, lost, problem, spaces }: UnrepairedSnapshot): string {
  const name = `${id}  ${timeline ?? '?'}@${sequence}`;
  if (lost === 'whole') return `lost: ${name}: ${problem ?? 'nothing is left'}`;
  const parts = spaces.map(({ image, space, lostBytes }) => {
    return `${formatBytes(lostBytes)} of ${image || 'files'}${space ? ` (${space})` : ''}`;
  });
  return `partly lost: ${name}: ${parts.join(', ')}`;
}
