/**
 * Restore: a snapshot becomes an image directory again, byte-identical to the one captured (a
 * chain becomes a flat directory). Every leaf is checked before its bytes are written; zero pages
 * become holes; nothing appears under the target's name before all of it is there.
 */
import { resolve } from 'node:path';
import type { SnapshotRow } from '../catalog/rows.ts';
import { storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Crew } from '../slices/threads.ts';
import { Pacer } from './clock.ts';
import type { OperationOptions, Progress, StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { type Missing, MissingList } from './missing-pages.ts';
import { checkIsUpToDate } from './outdated.ts';
import { checkOutside } from './outside.ts';
import { readRequests, runRead } from './read-requests.ts';
import {
  checkHostFiles,
  checkPrivileges,
  openTree,
  restoreFiles,
  type RestoredFiles,
  type RestoreFilesOptions,
} from './restore-files.ts';
import { RestoreTarget } from './restore-target.ts';
import {
  findPages,
  findPagesLeft,
  type StoredFile,
  type StoredSnapshot,
} from './snapshot-pages.ts';
import type { SnapshotTree } from './stored-tree.ts';
import { TaskWindow } from './task-window.ts';

/** What a restore takes. */
export interface RestoreOptions extends OperationOptions, RestoreFilesOptions {
  /** Whether the files are to survive a power loss when the restore is done; false by default. */
  readonly sync?: boolean | undefined;
  /**
   * Whether a damaged snapshot is restored as far as it goes: pages that are lost become zeros, and
   * are listed. Pieces of 2 MiB with lost pages cannot be checked as a whole; the pages that are
   * there are still those of frames with right checksums. Without it, damage is an error.
   */
  readonly partial?: boolean | undefined;
}

/** What a restore did. */
export interface RestoreReport {
  /** Bytes of the images, holes included. */
  readonly bytes: number;
  /** Frames that were decoded, and how many different ones each thread needed. */
  readonly framesDecoded: number;
  readonly framesNeeded: number;
  /** Undefined when the container's files were not asked for. */
  readonly files: RestoredFiles | undefined;
  /** What is zeros instead of what was captured; always nothing unless `partial` was asked for. */
  readonly missing: Missing;
}

const INVENTORY = 'inventory.img';

/** Restores a snapshot into `target`, which must be absent or an empty directory. */
export async function restore(
  context: StoreContext,
  row: SnapshotRow,
  target: string,
  options: RestoreOptions,
): Promise<RestoreReport> {
  checkTargets(context, target, options);
  const pacer = new Pacer(options.signal);
  const { logicalBytes: bytes } = row;
  context.threads.prepare(bytes);
  const partial = options.partial ?? false;
  const snapshot = await (partial ? findPagesLeft : findPages)(context, row, pacer);
  const missing = new MissingList();
  const tree = options.files === undefined ? undefined : await openTree(context, snapshot, pacer);
  const targets = openTargets(context, target, options);
  const { images: directory } = targets;
  try {
    const { counts, files } = await withCrew(context, { bytes }, async (crew, decoding) => {
      const report = progressOf(snapshot, tree, options);
      const work = { crew, directory, pacer, files: context.files, partial, missing };
      await restoreEntries(snapshot, work, report);
      if (tree === undefined || targets.files === undefined) {
        return { counts: decoding, files: undefined };
      }
      const filesWork = { crew, pacer, target: targets.files, onBytes: report, partial, missing };
      const restored = await restoreFiles(context, { snapshot, tree }, filesWork, options);
      return { counts: decoding, files: restored };
    });
    const notRestored = missing.finish();
    if (notRestored.bytes > 0) checkIsUpToDate(context);
    options.onProgress?.(doneOf(snapshot, tree));
    // The files first: who finds the images finds a container that can be started.
    targets.files?.finishTree();
    directory.finish(snapshot.manifest.directoryMode);
    return { bytes: imageBytes(snapshot), ...counts, files, missing: notRestored };
  } catch (error) {
    discard(targets);
    throw error;
  }
}

/** @throws TypeError, RangeError. */
function checkTargets(context: StoreContext, target: string, options: RestoreOptions): void {
  if (typeof target !== 'string' || target === '') throw new TypeError('a target is a path');
  checkOutside(context, target);
  checkHostFiles(options);
  checkPrivileges(options);
  if (options.files === undefined) return;
  if (typeof options.files !== 'string' || options.files === '') {
    throw new TypeError('files is the path of a directory');
  }
  checkOutside(context, options.files);
  const [images, files] = [resolve(target), resolve(options.files)];
  if (`${images}/`.startsWith(`${files}/`) || `${files}/`.startsWith(`${images}/`)) {
    throw new RangeError('images and files must go to different directories');
  }
}

/** Where the two parts of a restore go. */
interface Targets {
  readonly images: RestoreTarget;
  readonly files: RestoreTarget | undefined;
}

function openTargets({ files }: StoreContext, target: string, options: RestoreOptions): Targets {
  const sync = options.sync ?? false;
  const images = RestoreTarget.open(files, target, sync);
  if (options.files === undefined) return { images, files: undefined };
  try {
    return { images, files: RestoreTarget.open(files, options.files, sync) };
  } catch (error) {
    discard({ images, files: undefined });
    throw error;
  }
}

function imageBytes({ files }: StoredSnapshot): number {
  const images = files.filter(({ role }) => role === undefined);
  return images.reduce((sum, { content }) => sum + content.sizeBytes, 0);
}

function doneOf(snapshot: StoredSnapshot, tree: SnapshotTree | undefined): Progress {
  const total = imageBytes(snapshot) + (tree?.files.content.sizeBytes ?? 0);
  return { phase: 'files', done: total, total };
}

/** Counts bytes and says how many there are, but for the last ones. */
function progressOf(
  snapshot: StoredSnapshot,
  tree: SnapshotTree | undefined,
  { onProgress }: OperationOptions,
): (bytes: number) => void {
  const { total } = doneOf(snapshot, tree);
  let done = 0;
  return (bytes) => {
    done += bytes;
    if (done < total) onProgress?.({ phase: 'files', done, total });
  };
}

function discard({ images, files }: Targets): void {
  for (const takeAway of [() => images.discard(), () => files?.discardTree()]) {
    try {
      takeAway();
    } catch {
      // The error that stopped the restore is the one to report, not one of cleaning up after it.
    }
  }
}

/** What a restore works with. */
interface RestoreWork {
  readonly crew: Crew;
  readonly directory: RestoreTarget;
  readonly pacer: Pacer;
  readonly files: Files;
  readonly partial: boolean;
  readonly missing: MissingList;
}

async function restoreEntries(
  snapshot: StoredSnapshot,
  work: RestoreWork,
  report: (bytes: number) => void,
): Promise<void> {
  const images = snapshot.manifest.entries.filter(({ role }) => role === undefined);
  const files = snapshot.files.filter(({ role }) => role === undefined);
  const byName = new Map(files.map((file) => [textOf(file.name), file]));
  for (const { name, mode } of inventoryLast(images)) {
    const file = byName.get(textOf(name));
    if (file === undefined) work.directory.makeDirectory(name, mode);
    else await restoreFile(snapshot.row.id, file, work, report);
  }
}

async function restoreFile(
  snapshot: string,
  file: StoredFile,
  { crew, directory, pacer, files, partial, missing }: RestoreWork,
  report: (bytes: number) => void,
): Promise<void> {
  const made = directory.makeFile(file.name, file.mode);
  const { fd, path } = made;
  const tasks = new TaskWindow(2 * crew.width);
  try {
    for (const request of readRequests(snapshot, file, { fd, path }, partial)) {
      await pacer.pause();
      const reading = runRead(crew, request).then((lost) => {
        missing.add(file, request.offset, lost);
        report(request.bytes);
      });
      await tasks.add(reading);
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
