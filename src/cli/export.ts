/** `export`: a snapshot becomes an archive of the engine that it came from. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { StoreError, type ExportOptions } from '../index.ts';
import { isClosedPipe } from './output.ts';
import { withProgress } from './progress.ts';
import {
  readingCommand,
  runOnStore,
  SNAPSHOT_ARGUMENT,
  type ReadingCommandOptions,
} from './store-command.ts';
import { printable } from './text.ts';

interface ExportCommandOptions extends ReadingCommandOptions {
  readonly compression: NonNullable<ExportOptions['compression']>;
}

/** The command. */
export function exportCommand(signal: AbortSignal): Command {
  return readingCommand('export', 'write a snapshot as an archive of the engine it came from')
    .argument(...SNAPSHOT_ARGUMENT)
    .argument('<archive>', 'path of the new file, or - for standard output')
    .addOption(
      new Option('--compression <kind>', 'how the archive is compressed')
        .choices(['zstd', 'gzip', 'none'])
        .default('zstd'),
    )
    .action(async (reference: string, archive: string, options: ExportCommandOptions) => {
      const { compression } = options;
      const isStream = archive === '-';
      await runOnStore(options, async (store) => {
        const snapshot = store.snapshot(reference);
        const export_ = (target: string | NodeJS.WritableStream) =>
          withProgress((onProgress) =>
            snapshot.export(target, { compression, signal, onProgress }),
          );
        if (isStream) {
          await untilClosed(export_(process.stdout));
          // Standard output is the archive's.
          return { document: undefined, lines: [] };
        }
        await export_(archive);
        const path = resolve(archive);
        const name = `${snapshot.timeline}@${snapshot.sequence}`;
        const line = `${snapshot.id}  ${name}  exported to ${printable(path)}`;
        return { document: { snapshot, archive: path }, lines: [line] };
      });
    });
}

/** Whoever reads standard output may have seen enough: that is no error. */
async function untilClosed(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    // The library says where a system error came up, and keeps that as the cause.
    const cause = error instanceof StoreError ? error.cause : error;
    if (!isClosedPipe(cause)) throw error;
  }
}
