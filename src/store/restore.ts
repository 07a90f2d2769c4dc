/**
 * Restore: a snapshot becomes an image directory again, byte-identical to the one captured (a
 * chain becomes a flat directory). Every leaf is checked before its bytes are written; zero pages
 * become holes; nothing appears under the target's name before all of it is there.
 */
import { dirname, resolve } from 'node:path';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { exists, writeAll } from '../files/transfer.ts';
import type { Content, Manifest, ManifestEntry } from '../manifest/manifest.ts';
import { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { PageReader } from './page-reader.ts';
import { readManifest } from './read-manifest.ts';
import { RestoreTarget } from './restore-target.ts';
import { SpaceReader, type CheckedSlice } from './space-reader.ts';

/** What a restore takes. */
export interface RestoreOptions extends OperationOptions {
  /** Whether the files are to survive a power loss when the restore is done; false by default. */
  readonly sync?: boolean | undefined;
}

const INVENTORY = 'inventory.img';

/** Restores a snapshot into `target`, which must be absent or an empty directory. */
export async function restore(
  context: StoreContext,
  row: SnapshotRow,
  target: string,
  options: RestoreOptions,
): Promise<void> {
  if (typeof target !== 'string' || target === '') throw new TypeError('a target is a path');
  checkOutside(context, target);
  const manifest = readManifest(context, row);
  const pages = new PageReader(context);
  pages.useSegments(manifest.segments, row.id);
  const directory = RestoreTarget.open(context.files, target, options.sync ?? false);
  try {
    await restoreEntries(context, manifest, row.id, directory, new SpaceReader(pages), options);
    directory.finish(manifest.directoryMode);
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

async function restoreEntries(
  context: StoreContext,
  manifest: Manifest,
  snapshot: string,
  directory: RestoreTarget,
  spaces: SpaceReader,
  options: OperationOptions,
): Promise<void> {
  const pacer = new Pacer(options.signal);
  const total = manifest.entries.reduce((sum, { content }) => sum + (content?.sizeBytes ?? 0), 0);
  let done = 0;
  for (const { name, mode, content } of inventoryLast(manifest.entries)) {
    if (content === undefined) {
      directory.makeDirectory(name, mode);
      continue;
    }
    const place = { snapshot, image: textOf(name), segmentCount: manifest.segments.length };
    const file = directory.makeFile(name, mode);
    try {
      for (const slice of spaces.slices(content, place)) {
        writeSlice(context.files, file.fd, file.path, slice);
        options.onProgress?.({ phase: 'files', done: done + slice.offset, total });
        await pacer.pause();
      }
      endFile(context.files, file.fd, file.path, content);
      file.finish();
    } finally {
      file.close();
    }
    done += content.sizeBytes;
  }
  options.onProgress?.({ phase: 'files', done, total });
}

function inventoryLast(entries: readonly ManifestEntry[]): ManifestEntry[] {
  const isInventory = ({ name }: ManifestEntry) => textOf(name) === INVENTORY;
  return [...entries.filter((entry) => !isInventory(entry)), ...entries.filter(isInventory)];
}

/** Writes the parts of a slice that are not zero pages, each in one call. */
function writeSlice(files: Files, fd: number, path: string, slice: CheckedSlice): void {
  const { bytes, zero, offset } = slice;
  let page = 0;
  while (page < zero.length) {
    if (zero[page] === 1) {
      page += 1;
      continue;
    }
    const first = page;
    while (page < zero.length && zero[page] === 0) page += 1;
    const start = first * PAGE_BYTES;
    const part = bytes.subarray(start, Math.min(page * PAGE_BYTES, bytes.length));
    attempt(path, () => writeAll(files, fd, part, offset + start));
  }
}

/** A file that ends with a hole gets its length here. */
function endFile(files: Files, fd: number, path: string, content: Content): void {
  attempt(path, () => files.truncate(fd, content.sizeBytes));
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
