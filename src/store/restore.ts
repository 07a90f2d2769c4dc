/**
 * Restore: a snapshot becomes an image directory again, byte-identical to the one captured (a
 * chain becomes a flat directory). Every leaf is checked before its bytes are written; zero pages
 * become holes; nothing appears under the target's name before all of it is there.
 */
import { dirname, resolve } from 'node:path';
import type { SnapshotRow } from '../catalog/rows.ts';
import { storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { exists } from '../files/transfer.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Crew } from '../slices/threads.ts';
import { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { prepareThreads, withCrew } from './crew.ts';
import { readRequests, runRead } from './read-requests.ts';
import { RestoreTarget } from './restore-target.ts';
import { findPages, type StoredFile, type StoredSnapshot } from './snapshot-pages.ts';
import { TaskWindow } from './task-window.ts';

/** What a restore takes. */
export interface RestoreOptions extends OperationOptions {
  /** Whether the files are to survive a power loss when the restore is done; false by default. */
  readonly sync?: boolean | undefined;
}

/** What a restore did. */
export interface RestoreReport {
  /** Bytes of the files, holes included. */
  readonly bytes: number;
  /** Frames that were decoded, and how many different ones each thread needed. */
  readonly framesDecoded: number;
  readonly framesNeeded: number;
}

const INVENTORY = 'inventory.img';

/** Restores a snapshot into `target`, which must be absent or an empty directory. */
export async function restore(
  context: StoreContext,
  row: SnapshotRow,
  target: string,
  options: RestoreOptions,
): Promise<RestoreReport> {
  if (typeof target !== 'string' || target === '') throw new TypeError('a target is a path');
  checkOutside(context, target);
  const pacer = new Pacer(options.signal);
  prepareThreads(context, row.logicalBytes);
  const snapshot = await findPages(context, row, pacer);
  const directory = RestoreTarget.open(context.files, target, options.sync ?? false);
  try {
    const counts = await withCrew(context, {}, async (crew, decoding) => {
      await restoreEntries(snapshot, { crew, directory, pacer, files: context.files }, options);
      return decoding;
    });
    directory.finish(snapshot.manifest.directoryMode);
    return { bytes: row.logicalBytes, ...counts };
  } catch (error) {
    discard(directory);
    throw error;
  }
}

/** What stands in the store's own directories is taken for the store's own, and may be cleared. */
function checkOutside({ files, layout }: StoreContext, target: string): void {
  const parent = dirname(resolve(target));
  if (!exists(files, parent)) return;
  const isInside = `${files.realpath(parent)}/`.startsWith(`${layout.directory}/`);
  if (isInside) throw new TypeError('the target is inside the store');
}

function discard(directory: RestoreTarget): void {
  try {
    directory.discard();
  } catch {
    // The error that stopped the restore is the one to report, not one of cleaning up after it.
  }
}

/** What a restore works with. */
interface RestoreWork {
  readonly crew: Crew;
  readonly directory: RestoreTarget;
  readonly pacer: Pacer;
  readonly files: Files;
}

async function restoreEntries(
  snapshot: StoredSnapshot,
  work: RestoreWork,
  options: OperationOptions,
): Promise<void> {
  const { entries } = snapshot.manifest;
  const total = entries.reduce((sum, { content }) => sum + (content?.sizeBytes ?? 0), 0);
  const byName = new Map(snapshot.files.map((file) => [textOf(file.name), file]));
  let done = 0;
  const report = (bytes: number) => {
    done += bytes;
    if (done < total) options.onProgress?.({ phase: 'files', done, total });
  };
  for (const { name, mode } of inventoryLast(entries)) {
    const file = byName.get(textOf(name));
    if (file === undefined) work.directory.makeDirectory(name, mode);
    else await restoreFile(snapshot.row.id, file, work, report);
  }
  options.onProgress?.({ phase: 'files', done: total, total });
}

async function restoreFile(
  snapshot: string,
  file: StoredFile,
  { crew, directory, pacer, files }: RestoreWork,
  report: (bytes: number) => void,
): Promise<void> {
  const made = directory.makeFile(file.name, file.mode);
  const { fd, path } = made;
  const tasks = new TaskWindow(2 * crew.width);
  try {
    for (const request of readRequests(snapshot, file, { fd, path })) {
      await pacer.pause();
      await tasks.add(runRead(crew, request).then(() => report(request.bytes)));
    }
    await tasks.end();
    // A file that ends with a hole gets its length here.
    attempt(path, () => files.truncate(fd, file.content.sizeBytes));
    made.finish();
  } finally {
    await tasks.settle();
    made.close();
  }
}

function inventoryLast(entries: readonly ManifestEntry[]): ManifestEntry[] {
  const isInventory = ({ name }: ManifestEntry) => textOf(name) === INVENTORY;
  return [...entries.filter((entry) => !isInventory(entry)), ...entries.filter(isInventory)];
}

function attempt(path: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    throw storageError('write', path, cause);
  }
}

function textOf(name: Uint8Array): string {
  return Buffer.from(name).toString();
}
