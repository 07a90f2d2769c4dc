/**
 * The contents that a capture reads for a tree: which bytes of which file each page of the space
 * `files` holds. Columns in shared memory, so that any thread reads any part of it; pages of files
 * that did not change are in none of them.
 */
import { BigColumn, NumberColumn, shareBigs, shareNumbers } from './columns.ts';

/** What tells a file from another one, and from itself after a change. */
export interface ContentFacts {
  readonly sizeBytes: number;
  readonly inode: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** Where a content is to be read. */
export interface ContentPlace {
  /** Path of the file: below the root of the contents if there is one, else absolute. */
  readonly path: Uint8Array;
  /** First byte of the content there. */
  readonly offsetBytes: number;
  /** What the file must still be; undefined where nobody else can change it. */
  readonly facts: ContentFacts | undefined;
}

/** All contents of a tree that are read; plain data. */
export interface TreeContents {
  readonly kind: 'tree';
  /** The directory that paths are below, or undefined for absolute paths. */
  readonly root: string | undefined;
  /** Whether files may change while they are read. */
  readonly acceptChanges: boolean;
  /** Whether each file is to be synced before it is read. */
  readonly syncFiles: boolean;
  /** Of each piece, in the order of the space: first page, pages, file, first byte in that file. */
  readonly page: Float64Array;
  readonly pages: Float64Array;
  readonly file: Float64Array;
  readonly offsetBytes: Float64Array;
  /** Of each file: its path is `names` up to `nameEnd`, from the end of the one before on. */
  readonly names: Uint8Array;
  readonly nameEnd: Float64Array;
  /** Of each file: where its content begins and how long it is. */
  readonly fileOffset: Float64Array;
  readonly fileBytes: Float64Array;
  /** Of each file, three numbers: inode, modified, changed; all 0: not looked at. */
  readonly facts: BigInt64Array;
}

/** Collects the files that are read. */
export class ContentTable {
  readonly #nameEnd = new NumberColumn();
  readonly #offset = new NumberColumn();
  readonly #bytes = new NumberColumn();
  readonly #facts = new BigColumn();
  #names = new Uint8Array(4096);
  #nameBytes = 0;

  /** Files so far. */
  get length(): number {
    return this.#nameEnd.length;
  }

  /** Adds one and returns its number. */
  add({ path, offsetBytes, facts }: ContentPlace, sizeBytes: number): number {
    const end = this.#nameBytes + path.length;
    if (end > this.#names.length) {
      const grown = new Uint8Array(Math.max(end, this.#names.length * 2));
      grown.set(this.#names.subarray(0, this.#nameBytes));
      this.#names = grown;
    }
    this.#names.set(path, this.#nameBytes);
    this.#nameBytes = end;
    this.#nameEnd.push(end);
    this.#offset.push(offsetBytes);
    this.#bytes.push(sizeBytes);
    this.#facts.push(facts?.inode ?? 0n);
    this.#facts.push(facts?.modifiedNs ?? 0n);
    this.#facts.push(facts?.changedNs ?? 0n);
    return this.#nameEnd.length - 1;
  }

  /** What was added, in shared memory. */
  share(): Pick<TreeContents, 'names' | 'nameEnd' | 'fileOffset' | 'fileBytes' | 'facts'> {
    const names = new Uint8Array(new SharedArrayBuffer(this.#nameBytes));
    names.set(this.#names.subarray(0, this.#nameBytes));
    return {
      names,
      nameEnd: shareNumbers(this.#nameEnd.values()),
      fileOffset: shareNumbers(this.#offset.values()),
      fileBytes: shareNumbers(this.#bytes.values()),
      facts: shareBigs(this.#facts.values()),
    };
  }
}
