/**
 * Copies packs into a backup, each checked by its name while it is copied.
 *
 * What the target has already, of the same length, is left as it is, unless the target is on record
 * to have it damaged. A pack that is damaged in the store is copied all the same where the target
 * has none, because most of its pages may be whole, and never in the place of another.
 */
import { startSha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import type { PackRow } from '../catalog/rows.ts';
import { isDamage, storageError, systemCode } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { isMissing, syncDirectory, writeAll } from '../files/transfer.ts';
import type { BackupTarget } from './backup-target.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';

/** A pack that could not be copied as it was written. */
export interface DamagedSource {
  readonly name: string;
  /** Path in the store. */
  readonly file: string;
  readonly message: string;
  /** What the backup has of it: the same damaged bytes, a copy made earlier, or nothing. */
  readonly inBackup: 'damaged' | 'former' | 'missing';
}

/** What became of the packs. */
export interface CopiedPacks {
  readonly copied: number;
  readonly copiedBytes: number;
  /** Packs that the target had already. */
  readonly kept: readonly string[];
  readonly damaged: readonly DamagedSource[];
}

const SLICE_BYTES = 1024 * 1024;

/** Copies packs. */
export class PackCopier {
  readonly #context: StoreContext;
  readonly #target: BackupTarget;
  readonly #pacer: Pacer;
  readonly #slice: Uint8Array = new Uint8Array(SLICE_BYTES);
  readonly #touched = new Set<string>();
  readonly #damaged: DamagedSource[] = [];
  readonly #kept: string[] = [];
  #copied = 0;
  #copiedBytes = 0;

  constructor(context: StoreContext, target: BackupTarget, pacer: Pacer) {
    this.#context = context;
    this.#target = target;
    this.#pacer = pacer;
  }

  /** @param isSuspect whether the target has the pack, and is on record to have it damaged. */
  async copy(row: PackRow, isSuspect: boolean): Promise<void> {
    await this.#pacer.pause();
    const there = factsOf(this.#context.files, this.#target.layout.packFile(row.name));
    const isThere = there?.kind === 'file' && there.sizeBytes === row.sizeBytes;
    if (isThere && !isSuspect) {
      this.#kept.push(row.name);
      return;
    }
    const path = this.#target.staging.newPath('.pack');
    const damage = await this.#copyTo(path, row);
    if (damage !== undefined) {
      const inBackup = isThere ? 'former' : damage.isComplete ? 'damaged' : 'missing';
      const file = this.#context.layout.packFile(row.name);
      this.#damaged.push({ name: row.name, file, message: damage.message, inBackup });
      if (inBackup === 'former') this.#kept.push(row.name);
      if (inBackup !== 'damaged') {
        this.#context.files.removeTree(path);
        return;
      }
    }
    this.#putInPlace(path, row.name);
  }

  /** Copies the bytes; returns what is wrong with them. */
  async #copyTo(
    path: string,
    { name, sizeBytes }: PackRow,
  ): Promise<{ readonly message: string; readonly isComplete: boolean } | undefined> {
    const { files, layout } = this.#context;
    const from = this.#readable(() => files.open(layout.packFile(name), 'read'), name);
    if (typeof from === 'string') return { message: from, isComplete: false };
    try {
      const to = files.open(path, 'create');
      try {
        const hasher = startSha256();
        let offset = 0;
        for (;;) {
          const count = this.#readable(() => files.read(from, this.#slice, offset), name);
          if (typeof count === 'string') return { message: count, isComplete: false };
          if (count === 0) break;
          const bytes = this.#slice.subarray(0, count);
          hasher.update(bytes);
          writeAll(files, to, bytes, offset);
          offset += count;
          await this.#pacer.pause();
        }
        files.chmod(to, 0o400);
        files.sync(to);
        if (toHex(hasher.digest()) === name && offset === sizeBytes) return undefined;
        return { message: 'its SHA-256 is not its name', isComplete: true };
      } finally {
        files.close(to);
      }
    } finally {
      files.close(from);
    }
  }

  /** The store's own damage is a text, anything else an error. */
  #readable(action: () => number, name: string): number | string {
    try {
      return action();
    } catch (error) {
      if (isMissing(error)) return 'the pack is missing';
      if (isDamage(error)) return `the pack cannot be read: ${systemCode(error) ?? ''}`;
      throw storageError('read the pack', this.#context.layout.packFile(name), error);
    }
  }

  #putInPlace(path: string, name: string): void {
    const { files } = this.#context;
    const { layout } = this.#target;
    this.#target.makePackDirectory(name);
    this.#touched.add(layout.packDirectory(name));
    files.rename(path, layout.packFile(name));
    this.#copied += 1;
    this.#copiedBytes += files.lstat(layout.packFile(name)).sizeBytes;
  }

  /** Makes durable what was copied. */
  async finish(): Promise<CopiedPacks> {
    const { files } = this.#context;
    for (const directory of this.#touched) {
      syncDirectory(files, directory);
      await this.#pacer.pause();
    }
    syncDirectory(files, this.#target.layout.packs);
    return {
      copied: this.#copied,
      copiedBytes: this.#copiedBytes,
      kept: this.#kept,
      damaged: this.#damaged,
    };
  }
}

function factsOf(files: Files, path: string): FileFacts | undefined {
  try {
    return files.lstat(path);
  } catch (error) {
    // ENOTDIR: something else stands in the place of the directory; making it will say so.
    if (isMissing(error) || systemCode(error) === 'ENOTDIR') return undefined;
    throw storageError('look at the backup', path, error);
  }
}
