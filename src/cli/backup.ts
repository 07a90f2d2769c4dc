/** `backup`: copies the whole store, or what is new of it, into another directory. */
import type { Command } from 'commander';
import type { BackupReport } from '../index.ts';
import { EXIT_STATUS } from './exit-status.ts';
import { withProgress } from './progress.ts';
import { readingCommand, runOnStore, type ReadingCommandOptions } from './store-command.ts';
import { count, formatBytes, printable } from './text.ts';

const HELP = `
The target is a store itself then. A directory that holds an earlier backup of
the same store gets what is new; until that is all there, it stays the earlier
backup, and a backup that was cut off is continued by the next. Captures may run
meanwhile. The exit status is 3 when something in the store is damaged: it is
listed, and everything else was copied.`;

/** The command. */
export function backupCommand(signal: AbortSignal): Command {
  return readingCommand('backup', 'copy the store, or what is new of it, to another directory')
    .argument('<target>', 'a new or empty directory, or an earlier backup of this store')
    .addHelpText('after', HELP)
    .action(async (target: string, options: ReadingCommandOptions) => {
      await runOnStore(options, async (store) => {
        const report = await withProgress((onProgress) =>
          store.backup(target, { signal, onProgress }),
        );
        const isWhole = report.damagedPacks.length === 0 && report.problems.length === 0;
        if (!isWhole) process.exitCode = EXIT_STATUS.corrupt;
        return { document: report, lines: linesOf(report) };
      });
    });
}

function linesOf({ target, snapshots, packs, damagedPacks, problems }: BackupReport): string[] {
  const copied = `${count(packs.copied, 'pack')} copied (${formatBytes(packs.copiedBytes)})`;
  return [
    ...problems.map((problem) => `damaged catalog: ${problem}`),
    ...damagedPacks.map(
      ({ file, message, inBackup }) =>
        `damaged pack: ${file}: ${message} (in the backup: ${inBackup})`,
    ),
    `${count(snapshots, 'snapshot')} in ${target}: ${copied}, ${packs.kept} there already, ` +
      `${packs.removed} removed`,
  ].map(printable);
}
