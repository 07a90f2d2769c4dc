/** `restore`: a snapshot becomes an image directory again. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addPair } from './capture.ts';
import type { Missing, RestoredFiles } from '../index.ts';
import type { Result } from './output.ts';
import { withProgress } from './progress.ts';
import { formatBytes, printable } from './text.ts';
import {
  readingCommand,
  runOnStore,
  SNAPSHOT_ARGUMENT,
  type ReadingCommandOptions,
} from './store-command.ts';

interface RestoreOptions extends ReadingCommandOptions {
  readonly sync?: boolean;
  readonly files?: string;
  readonly hostFile?: ReadonlyMap<string, string>;
  readonly skipPrivileges?: boolean;
  readonly partial?: boolean;
}

/** The command. */
export function restoreCommand(signal: AbortSignal): Command {
  return readingCommand('restore', 'rebuild the image directory of a snapshot')
    .argument(...SNAPSHOT_ARGUMENT)
    .argument('<target-dir>', 'where to; must be absent or an empty directory')
    .option('--files <dir>', "where the container's files go; absent or an empty directory")
    .option(
      '--host-file <path=file>',
      "put this file in place of another host's, at a path in the container (repeatable)",
      addHostFile,
    )
    .option('--skip-privileges', 'leave out what takes rights that there are not, and list it')
    .option('--partial', 'restore what is left of a damaged one, with zeros for what is lost')
    .option('--sync', 'make the files survive a power loss before this is done')
    .action(async (reference: string, directory: string, options: RestoreOptions) => {
      await runOnStore(options, async (store) => {
        const snapshot = store.snapshot(reference);
        const hostFiles = Object.fromEntries(
          [...(options.hostFile ?? [])].map(([path, file]) => [path, { file }] as const),
        );
        const { files, sync, partial } = options;
        const privileges = options.skipPrivileges === true ? 'skip' : 'require';
        const report = await withProgress((onProgress) =>
          snapshot.restore(directory, {
            ...{ files, hostFiles, privileges, sync, partial, signal, onProgress },
          }),
        );
        const target = resolve(directory);
        const name = `${snapshot.timeline}@${snapshot.sequence}`;
        const line = `${snapshot.id}  ${name}  restored to ${printable(target)}`;
        const restored = describeFiles(report.files);
        return {
          document: { snapshot, target, files: restored?.document, ...documentOf(report.missing) },
          lines: [line, ...(restored?.lines ?? []), ...linesOf(report.missing)],
        };
      });
    });
}

function documentOf(missing: Missing): { readonly missing?: Missing } {
  return missing.bytes === 0 ? {} : { missing };
}

/** What is zeros, one line for each run of pages. */
function linesOf({ bytes, runs }: Missing): string[] {
  if (bytes === 0) return [];
  const lines = runs.map(({ image, space, offset, firstAddress, bytes: length }) => {
    const place = firstAddress === undefined ? `offset ${offset}` : `${space} at ${firstAddress}`;
    return printable(`missing: ${formatBytes(length)} of ${image || 'files'}, ${place}`);
  });
  return [...lines, `missing: ${formatBytes(bytes)} in all, which are zeros now`];
}

function addHostFile(
  text: string,
  previous?: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return addPair(text, { form: 'A host file is PATH=FILE.', plural: 'host files' }, previous);
}

/** What is said of the container's files, but for what went as it should. */
function describeFiles(files: RestoredFiles | undefined): Result | undefined {
  if (files === undefined) return undefined;
  const skipped = files.skipped.map(({ path, what }) => ({
    path: Buffer.from(path).toString(),
    what,
  }));
  const { missingHostFiles, bytes, skippedCount } = files;
  return {
    document: { bytes, skipped, skippedCount, missingHostFiles },
    lines: [
      ...skipped.map(({ path, what }) => printable(`left out: ${what} of ${path}`)),
      ...(skippedCount > skipped.length ? [`left out: ${skippedCount} in all`] : []),
      ...missingHostFiles.map((path) => printable(`belongs to the host, and is missing: ${path}`)),
    ],
  };
}
