/** Reads the tree of a snapshot's files, and what is in them. */
import { PAGE_BYTES } from '../bytes/page.ts';
import { StoreError } from '../errors.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import type { ReadRequest } from '../slices/tasks.ts';
import type { TreeEntry } from '../tree/body.ts';
import { cutPieces } from '../tree/cut-pieces.ts';
import { RunIndex } from '../tree/runs.ts';
import { StoredTree, type SpaceRuns } from '../tree/tree.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { PAGES_OF_TASK, readRequests } from './read-requests.ts';
import type { StoredFile, StoredSnapshot } from './snapshot-pages.ts';
import { StoredFileReader } from './stored-file-reader.ts';

/** The tree of a snapshot, and the space that its files are in. */
export interface SnapshotTree {
  readonly tree: StoredTree;
  readonly files: StoredFile;
  /** Where the pages of the files lie. */
  readonly runs: SpaceRuns;
}

/**
 * Reads the tree of a snapshot; undefined when it has none.
 *
 * @throws StoreError CORRUPT.
 */
export async function readTree(
  context: StoreContext,
  snapshot: StoredSnapshot,
  pacer: Pacer,
): Promise<SnapshotTree | undefined> {
  const tree = snapshot.files.find(({ role }) => role === 'tree');
  const files = snapshot.files.find(({ role }) => role === 'files');
  if (tree === undefined || files === undefined) return undefined;
  const reader = new StoredFileReader(context);
  try {
    const bytes = new Uint8Array(tree.content.sizeBytes);
    let done = 0;
    for (const part of reader.readParts(snapshot.row.id, tree)) {
      bytes.set(part, done);
      done += part.length;
      await pacer.pause();
    }
    const file = context.layout.packFile(snapshot.row.packName);
    const stored = new StoredTree(bytes, tree.content.addresses as SpaceRuns, file);
    return { tree: stored, files, runs: files.content.addresses as SpaceRuns };
  } finally {
    reader.close();
  }
}

/** Leaves that are kept: neighbouring files are in the same one. */
const LEAVES_KEPT = 4;

/** Reads the contents of a tree's files one after the other. */
export class StoredContents {
  readonly #reader: StoredFileReader;
  readonly #requests: readonly ReadRequest[];
  readonly #runs: RunIndex;
  readonly #file: string;
  /** From the oldest to the newest. */
  readonly #leaves = new Map<number, Uint8Array>();

  constructor(context: StoreContext, snapshot: StoredSnapshot, { files, runs }: SnapshotTree) {
    this.#reader = new StoredFileReader(context);
    this.#requests = [...readRequests(snapshot.row.id, files, undefined)];
    this.#runs = new RunIndex(runs);
    this.#file = context.layout.packFile(snapshot.row.packName);
  }

  /** A file's bytes, holes as zeros, in parts that are valid until the next one. */
  *read({ sizeBytes, dataRuns, extents }: TreeEntry): Generator<Uint8Array> {
    const pieces: { page: number; pages: number; offsetBytes: number }[] = [];
    cutPieces(extents, dataRuns, (address, pages, offsetBytes) => {
      const page = this.#runs.find(address);
      const isThere = page >= 0 && this.#runs.find(address + pages - 1) === page + pages - 1;
      if (!isThere) {
        const message = 'a tree refers to pages that its snapshot does not have';
        throw new StoreError('CORRUPT', message, { file: this.#file });
      }
      pieces.push({ page, pages, offsetBytes });
    });
    let done = 0;
    for (const { page, pages, offsetBytes } of pieces) {
      yield* zeros(offsetBytes - done);
      done = offsetBytes;
      const end = Math.min(sizeBytes, offsetBytes + pages * PAGE_BYTES);
      for (const part of this.#readPages(page, pages)) {
        const wanted = part.subarray(0, end - done);
        done += wanted.length;
        yield wanted;
      }
    }
    yield* zeros(sizeBytes - done);
  }

  *#readPages(first: number, count: number): Generator<Uint8Array> {
    for (let page = first; page < first + count;) {
      const inLeaf = page % LEAF_PAGES;
      const pages = Math.min(LEAF_PAGES - inLeaf, first + count - page);
      const leaf = this.#leaf(Math.floor(page / LEAF_PAGES));
      yield leaf.subarray(inLeaf * PAGE_BYTES, (inLeaf + pages) * PAGE_BYTES);
      page += pages;
    }
  }

  #leaf(number: number): Uint8Array {
    const known = this.#leaves.get(number);
    if (known !== undefined) return known;
    const first = number * LEAF_PAGES;
    const request = this.#requests[Math.floor(first / PAGES_OF_TASK)] as ReadRequest;
    const inRequest = (first % PAGES_OF_TASK) / LEAF_PAGES;
    // A copy, which `slice` of a Buffer is not.
    const leaf = Uint8Array.from(this.#reader.readLeafOf(request, inRequest));
    for (const oldest of this.#leaves.keys()) {
      if (this.#leaves.size < LEAVES_KEPT) break;
      this.#leaves.delete(oldest);
    }
    this.#leaves.set(number, leaf);
    return leaf;
  }

  /** Closes what is open. */
  close(): void {
    this.#reader.close();
  }
}

const ZEROS = new Uint8Array(1024 * 1024);

function* zeros(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
  }
}
