/**
 * Copies packs into a backup, each checked by its name while it is copied.
 *
 * What the target has already is left as it is when the former backup vouches for it, or its bytes
 * have their name: one that was cut off vouches for nothing. A pack that is damaged in the store is
 * copied all the same where the target has none, because most of its pages may be whole, and never
 * in the place of another.
 */
import { startSha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { isDamage, storageError, systemCode } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { isMissing, syncDirectory, writeAll } from '../files/transfer.ts';
import type { NamedPack } from './backup-former.ts';
import type { BackupTarget } from './backup-target.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';

/** A pack that could not be copied as it was written. */
export interface DamagedSource {
  readonly name: string;
  /** Path in the store. */
  readonly file: string;
  readonly message: string;
  /**
   * What the backup has of it: these damaged bytes, a copy made earlier that is damaged as well, or
   * nothing.
   */
  readonly inBackup: 'damaged' | 'former' | 'missing';
}

/** What became of the packs. */
export interface CopiedPacks {
  readonly copied: number;
  readonly copiedBytes: number;
  /** Packs that the target had already, whole. */
  readonly kept: number;
  /** Names of those that the former backup vouched for, whatever the store has by now. */
  readonly trusted: ReadonlySet<string>;
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
  readonly #trusted = new Set<string>();
  #kept = 0;
  #copied = 0;
  #copiedBytes = 0;

  constructor(context: StoreContext, target: BackupTarget, pacer: Pacer) {
    this.#context = context;
    this.#target = target;
    this.#pacer = pacer;
  }

  /** @param isTrusted whether the former backup has the pack, and nothing of it lost on record. */
  async copy(pack: NamedPack, isTrusted: boolean): Promise<void> {
    await this.#pacer.pause();
    const { name, sizeBytes } = pack;
    const place = this.#target.layout.packFile(name);
    const there = factsOf(this.#context.files, place);
    const isThere = there?.kind === 'file' && there.sizeBytes === sizeBytes;
    if (isThere && (isTrusted || (await this.#read(place)) === name)) {
      // One that was cut off may not have made its name durable.
      if (isTrusted) this.#trusted.add(name);
      else this.#touched.add(this.#target.layout.packDirectory(name));
      this.#kept += 1;
      return;
    }
    const path = this.#target.staging.newPath('.pack');
    const damage = await this.#copyTo(path, name);
    if (damage !== undefined) {
      const inBackup = isThere ? 'former' : damage.isComplete ? 'damaged' : 'missing';
      const file = this.#context.layout.packFile(name);
      this.#damaged.push({ name, file, message: damage.message, inBackup });
      if (inBackup !== 'damaged') {
        this.#context.files.removeTree(path);
        return;
      }
    }
    this.#putInPlace(path, name);
  }

  /** Copies the bytes; returns what is wrong with them. */
  async #copyTo(
    path: string,
    name: string,
  ): Promise<{ readonly message: string; readonly isComplete: boolean } | undefined> {
    const { files, layout } = this.#context;
    const to = files.open(path, 'create');
    try {
      const copy = (bytes: Uint8Array, offset: number) => writeAll(files, to, bytes, offset);
      const read = await this.#read(layout.packFile(name), copy);
      if (typeof read !== 'string') return { message: read.hindrance, isComplete: false };
      files.chmod(to, 0o400);
      files.sync(to);
      if (read === name) return undefined;
      return { message: 'its SHA-256 is not its name', isComplete: true };
    } finally {
      files.close(to);
    }
  }

  /** Reads a pack to its end; returns the name that its bytes have, or why they have none. */
  async #read(
    path: string,
    use?: (bytes: Uint8Array, offset: number) => void,
  ): Promise<string | { readonly hindrance: string }> {
    const { files } = this.#context;
    const from = this.#readable(() => files.open(path, 'read'), path);
    if (typeof from === 'string') return { hindrance: from };
    try {
      const hasher = startSha256();
      for (let offset = 0; ;) {
        const count = this.#readable(() => files.read(from, this.#slice, offset), path);
        if (typeof count === 'string') return { hindrance: count };
        if (count === 0) return toHex(hasher.digest());
        const bytes = this.#slice.subarray(0, count);
        hasher.update(bytes);
        use?.(bytes, offset);
        offset += count;
        await this.#pacer.pause();
      }
    } finally {
      files.close(from);
    }
  }

  /** Damage of the pack is a text, anything else an error. */
  #readable(action: () => number, path: string): number | string {
    try {
      return action();
    } catch (error) {
      if (isMissing(error)) return 'the pack is missing';
      if (isDamage(error)) return `the pack cannot be read: ${systemCode(error) ?? ''}`;
      throw storageError('read the pack', path, error);
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
      trusted: this.#trusted,
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
