/**
 * Copies packs into a backup, each checked by its name while it is copied.
 *
 * What the target has already is left as it is when the former backup vouches for it, or its bytes
 * have their name: one that was cut off vouches for nothing, nor does one for a pack of which the
 * store has lost something on record. A pack that is damaged in the store is copied all the same
 * where the target has none, because most of its pages may be whole, and never in the place of
 * another; it is put in its place behind the catalog that says that it is damaged.
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
  /** Names of those whose bytes are right in the target, and not in the store. */
  readonly better: ReadonlySet<string>;
  readonly damaged: readonly DamagedSource[];
  /** Puts damaged packs in their places: the catalog of the target must call them so already. */
  placeDamaged(): void;
}

/** What is known of a pack. */
export interface PackStanding {
  /** Whether the former backup has the pack, and nothing of it lost or damaged on record. */
  readonly isTrusted: boolean;
  /** Whether frames of it are lost, as the store has on record. */
  readonly hasLost: boolean;
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
  readonly #better = new Set<string>();
  /** Paths in staging of what is damaged, by names. */
  readonly #waiting = new Map<string, string>();
  #kept = 0;
  #copied = 0;
  #copiedBytes = 0;

  constructor(context: StoreContext, target: BackupTarget, pacer: Pacer) {
    this.#context = context;
    this.#target = target;
    this.#pacer = pacer;
  }

  /** Copies a pack, unless the target has it. */
  async copy(pack: NamedPack, { isTrusted, hasLost }: PackStanding): Promise<void> {
    await this.#pacer.pause();
    const { name, sizeBytes } = pack;
    const place = this.#target.layout.packFile(name);
    const there = factsOf(this.#context.files, place);
    const isThere = there?.kind === 'file';
    const isBelieved = isTrusted && !hasLost;
    const mayBeWhole = isThere && there.sizeBytes === sizeBytes;
    if (mayBeWhole && (isBelieved || (await this.#read(place)) === name)) {
      // One that was cut off may not have made its name durable.
      if (!isBelieved) this.#touched.add(this.#target.layout.packDirectory(name));
      // What a repair has written is right, and lacks in every copy what it did not find.
      const source = this.#context.layout.packFile(name);
      if (hasLost && (await this.#read(source)) !== name) this.#better.add(name);
      this.#kept += 1;
      return;
    }
    const path = this.#target.staging.newPath('.pack');
    const damage = await this.#copyTo(path, name);
    if (damage !== undefined) {
      const inBackup = isThere ? 'former' : damage.isComplete ? 'damaged' : 'missing';
      const file = this.#context.layout.packFile(name);
      this.#damaged.push({ name, file, message: damage.message, inBackup });
      if (inBackup === 'damaged') this.#waiting.set(name, path);
      else this.#context.files.removeTree(path);
      return;
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

  #placeDamaged(): void {
    for (const [name, path] of this.#waiting) this.#putInPlace(path, name);
    for (const name of this.#waiting.keys()) {
      syncDirectory(this.#context.files, this.#target.layout.packDirectory(name));
    }
    if (this.#waiting.size > 0) syncDirectory(this.#context.files, this.#target.layout.packs);
  }

  /** Makes durable what was copied. */
  async finish(): Promise<CopiedPacks> {
    const { files } = this.#context;
    for (const directory of this.#touched) {
      syncDirectory(files, directory);
      await this.#pacer.pause();
    }
    syncDirectory(files, this.#target.layout.packs);
    const waiting = [...this.#waiting.values()].map((path) => files.lstat(path).sizeBytes);
    return {
      copied: this.#copied + waiting.length,
      copiedBytes: this.#copiedBytes + waiting.reduce((sum, bytes) => sum + bytes, 0),
      kept: this.#kept,
      better: this.#better,
      damaged: this.#damaged,
      placeDamaged: () => {
        this.#placeDamaged();
      },
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
