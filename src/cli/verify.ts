/** `verify`: reads the store and lists what is damaged. */
import { Option, type Command } from 'commander';
import type { VerifyLevel, VerifyProblem, VerifyReport } from '../index.ts';
import { EXIT_STATUS } from './exit-status.ts';
import { withProgress } from './progress.ts';
import { readingCommand, runOnStore, type ReadingCommandOptions } from './store-command.ts';
import { count, printable } from './text.ts';

interface VerifyOptions extends ReadingCommandOptions {
  readonly level: VerifyLevel;
}

const LEVELS: readonly VerifyLevel[] = ['quick', 'packs', 'snapshots'];

const LEVEL_HELP = `
Levels:
  quick      the catalog, and the tables and manifests of every pack
  packs      also every page in the packs
  snapshots  also every page of every snapshot

Every problem is a line; the exit status is 3 when there is one.`;

/** The command. */
export function verifyCommand(signal: AbortSignal): Command {
  return readingCommand('verify', 'read the store and list what is damaged')
    .addOption(
      new Option('--level <level>', 'how much to read').choices(LEVELS).default('snapshots'),
    )
    .addHelpText('after', LEVEL_HELP)
    .action(async (options: VerifyOptions) => {
      const { level } = options;
      await runOnStore(options, async (store) => {
        const report = await withProgress((onProgress) =>
          store.verify({ level, signal, onProgress }),
        );
        if (report.problems.length > 0) process.exitCode = EXIT_STATUS.corrupt;
        const unknown = report.unknownPacks.map((path) => printable(`unknown pack: ${path}`));
        const lines = [...report.problems.map(lineOf), ...unknown, summaryOf(report)];
        return { document: report, lines };
      });
    });
}

function lineOf({ code, message, snapshot }: VerifyProblem): string {
  const isNamed = snapshot === undefined || message.includes(snapshot);
  return printable(`${code}: ${message}${isNamed ? '' : ` (snapshot ${snapshot})`}`);
}

function summaryOf({ level, packs, snapshots, problems }: VerifyReport): string {
  const read = `${count(packs, 'pack')} and ${count(snapshots, 'snapshot')}`;
  const found = problems.length === 0 ? 'no problems' : count(problems.length, 'problem');
  return `${read} verified at level ${level}: ${found}`;
}
