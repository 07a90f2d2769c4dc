/** `restore`: a snapshot becomes an image directory again. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { withProgress } from './progress.ts';
import { printable } from './text.ts';
import {
  readingCommand,
  runOnStore,
  SNAPSHOT_ARGUMENT,
  type ReadingCommandOptions,
} from './store-command.ts';

interface RestoreOptions extends ReadingCommandOptions {
  readonly sync?: boolean;
}

/** The command. */
export function restoreCommand(signal: AbortSignal): Command {
  return readingCommand('restore', 'rebuild the image directory of a snapshot')
    .argument(...SNAPSHOT_ARGUMENT)
    .argument('<target-dir>', 'where to; must be absent or an empty directory')
    .option('--sync', 'make the files survive a power loss before this is done')
    .action(async (reference: string, directory: string, options: RestoreOptions) => {
      await runOnStore(options, async (store) => {
        const snapshot = store.snapshot(reference);
        await withProgress((onProgress) =>
          snapshot.restore(directory, { sync: options.sync, signal, onProgress }),
        );
        const target = resolve(directory);
        const name = `${snapshot.timeline}@${snapshot.sequence}`;
        const line = `${snapshot.id}  ${name}  restored to ${printable(target)}`;
        return { document: { snapshot, target }, lines: [line] };
      });
    });
}
