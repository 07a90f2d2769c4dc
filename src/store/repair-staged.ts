/**
 * Packs that a repair puts into their places: those that it has written, and those that lie under
 * other names. Until then they are read from where they are, as if they were there already, so that
 * all can be tried out while nothing of the store is changed.
 */
import { dirname } from 'node:path';
import { storageError, systemCode } from '../errors.ts';
import { AppendFile } from '../files/append-file.ts';
import type { Files } from '../files/files.ts';
import { exists, syncDirectory } from '../files/transfer.ts';
import { PackWriter } from '../pack/writer.ts';
import type { StoreLayout } from './layout.ts';
import type { RepairWork } from './repair-plan.ts';

/** Packs that are not where they belong. */
export class StagedPacks {
  readonly #files: Files;
  readonly #layout: StoreLayout;
  /** Paths of files by the places that they are for. */
  readonly #paths = new Map<string, string>();
  /** Opens what is to be in a place, wherever it is. */
  readonly door: Files;

  constructor(files: Files, layout: StoreLayout) {
    this.#files = files;
    this.#layout = layout;
    this.door = {
      ...files,
      open: (path, how, mode) => {
        const there = typeof path === 'string' ? this.#paths.get(path) : undefined;
        return files.open(there ?? path, how, mode);
      },
    };
  }

  /** Says where the file of a pack is. */
  add(name: string, path: string): void {
    this.#paths.set(this.#layout.packFile(name), path);
  }

  /** Says that the file which was at `path` is in its place. */
  delete(name: string, path: string): void {
    const place = this.#layout.packFile(name);
    // Another one may be for the same place by now: the same pack, healed.
    if (this.#paths.get(place) === path) this.#paths.delete(place);
  }

  /** Puts a pack into its place, for good. @throws StoreError STORAGE. */
  publish(name: string): void {
    const place = this.#layout.packFile(name);
    const path = this.#paths.get(place);
    if (path === undefined) return;
    try {
      movePack(this.#files, this.#layout, path, place);
      this.#paths.delete(place);
    } catch (error) {
      throw storageError('publish the pack', place, error);
    }
  }
}

/** Renames a file to a place in packs/, for good. */
function movePack(files: Files, layout: StoreLayout, path: string, place: string): void {
  const directory = dirname(place);
  if (!exists(files, directory)) files.mkdir(directory, 0o700);
  // Even when it is not new: whoever made it may have died before this sync.
  syncDirectory(files, layout.packs);
  files.rename(path, place);
  syncDirectory(files, directory);
}

/** Writes a pack into a private file, from which it is read from here on; returns its name. */
export async function stagePack(
  { files, zstd, newPath, staged }: RepairWork,
  write: (writer: PackWriter) => Promise<void>,
): Promise<string> {
  const path = newPath('.pack');
  try {
    const file = new AppendFile(files, path);
    try {
      const writer = new PackWriter({ write: (bytes) => file.write(bytes) }, zstd);
      await write(writer);
      const { name } = writer.finish();
      file.seal();
      staged.add(name, path);
      return name;
    } finally {
      file.close();
    }
  } catch (error) {
    // The reason of an abort stays what it is.
    throw systemCode(error) === undefined ? error : storageError('write the pack', path, error);
  }
}
