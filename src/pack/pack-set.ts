/**
 * The packs of a store, opened on demand by name. Footers and frame tables stay in memory for the
 * packs used most recently; descriptors come from a bounded pool.
 */
import type { Zstd } from '../bytes/zstd.ts';
import { isDamage, storageError, StoreError } from '../errors.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import { isMissing, readUpTo } from '../files/transfer.ts';
import { type LostFrame, type LostFrames, WHOLE_PACK } from './lost-frames.ts';
import { newPackSharing, PackReader, type PackSharing, type Source } from './reader.ts';

/** Packs whose footers and tables stay in memory: 128 KiB for a capture of 1 GiB of new pages. */
const MAX_READERS = 4096;
const MAX_DESCRIPTORS = 128;

/** Opens packs by name and keeps the recent ones. */
export class PackSet {
  readonly #files: Files;
  readonly #zstd: Zstd;
  readonly #pathOf: (name: string) => string;
  readonly #descriptors: DescriptorPool;
  readonly #readers = new Map<string, PackReader>();
  readonly #shared = newPackSharing();

  /** @param pathOf the path of a pack, by its name. */
  constructor(files: Files, zstd: Zstd, pathOf: (name: string) => string) {
    this.#files = files;
    this.#zstd = zstd;
    this.#pathOf = pathOf;
    this.#descriptors = new DescriptorPool(files, MAX_DESCRIPTORS);
  }

  /** @throws StoreError CORRUPT when the pack is missing or damaged. */
  reader(name: string): PackReader {
    const known = this.#readers.get(name);
    if (known !== undefined) {
      // A Map iterates in the order of insertion: moving to the end makes it the newest.
      this.#readers.delete(name);
      this.#readers.set(name, known);
      return known;
    }
    if (this.#readers.size >= MAX_READERS) this.#forgetOldest();
    const reader = this.#open(this.#pathOf(name));
    this.#readers.set(name, reader);
    return reader;
  }

  /** A pack that cannot be opened is lost with all of its frames. */
  #open(file: string): PackReader {
    try {
      return openPack(this.#files, this.#descriptors, this.#zstd, file, this.#shared);
    } catch (error) {
      if (isDamage(error)) this.lostFrames.report({ file, offset: WHOLE_PACK });
      throw error;
    }
  }

  #forgetOldest(): void {
    for (const name of this.#readers.keys()) {
      this.#readers.delete(name);
      return;
    }
  }

  /** The frames of all packs that were found damaged. */
  get lostFrames(): LostFrames {
    return this.#shared.lostFrames;
  }

  /** Takes over which frames are on record as damaged; packs that were mended are opened anew. */
  restoreLostFrames(frames: readonly LostFrame[]): void {
    for (const file of this.lostFrames.restoreAll(frames)) {
      for (const [name, reader] of this.#readers) {
        if (reader.file === file) this.#readers.delete(name);
      }
      this.#descriptors.forget(file);
    }
  }

  /** Forgets a pack that is taken away. */
  forget(name: string): void {
    this.#readers.delete(name);
    this.#descriptors.forget(this.#pathOf(name));
  }

  /** Whether no pack has been opened. */
  get isEmpty(): boolean {
    return this.#readers.size === 0;
  }

  /** Forgets packs that are gone: an open descriptor would keep their space. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of [...this.#readers.keys()]) {
      if (!names.has(name)) this.forget(name);
    }
  }

  /** Closes all descriptors. */
  close(): void {
    this.#readers.clear();
    this.#descriptors.close();
  }
}

/**
 * The header has no checksum of its own, and the store's format has been looked at: a pack that
 * says it is of another version was damaged, and is no hindrance to captures.
 */
function asDamage(error: unknown, file: string): unknown {
  if (!(error instanceof StoreError) || error.code !== 'UNSUPPORTED_VERSION') return error;
  const message = `${error.summary}, which this store cannot have`;
  return new StoreError('CORRUPT', message, { file, cause: error });
}

/**
 * Opens one pack by its path; its descriptor belongs to the pool.
 *
 * @throws StoreError CORRUPT, STORAGE.
 */
export function openPack(
  files: Files,
  descriptors: DescriptorPool,
  zstd: Zstd,
  file: string,
  shared?: PackSharing,
): PackReader {
  try {
    return new PackReader(fileSource(files, descriptors, file), zstd, shared);
  } catch (error) {
    throw asDamage(error, file);
  }
}

function fileSource(files: Files, descriptors: DescriptorPool, file: string): Source {
  const { sizeBytes } = attempt(file, () => files.stat(descriptors.use(file)));
  return {
    file,
    sizeBytes,
    read: (target, offset) => {
      const count = attempt(file, () => readUpTo(files, descriptors.use(file), target, offset));
      if (count < target.length) {
        throw new StoreError('CORRUPT', 'pack is too short', { file, offset: offset + count });
      }
    },
  };
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (isMissing(cause)) throw new StoreError('CORRUPT', 'pack is missing', { file, cause });
    throw storageError('read pack', file, cause);
  }
}
