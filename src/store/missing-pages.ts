/**
 * What a partial restore could not restore, and put zeros in place of: runs of pages of a file,
 * with their addresses where it holds the pages of a space. The list is bounded, the count is not.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { StoredFile } from './snapshot-pages.ts';

/** Consecutive pages that are lost. */
export interface MissingPages {
  /** Name of the image; empty for what is in the container's files. */
  readonly image: string;
  /** Name of the space that they are of; undefined for an image that holds none. */
  readonly space: string | undefined;
  /** Where they are in the image, in bytes. */
  readonly offset: number;
  /** Their first address, in hex with `0x`; undefined without a space. */
  readonly firstAddress: string | undefined;
  readonly bytes: number;
}

/** All that is missing of a snapshot. */
export interface Missing {
  /** Bytes of it all. */
  readonly bytes: number;
  /** The runs of pages: the first 10,000 of them. */
  readonly runs: readonly MissingPages[];
}

const MAX_NAMED = 10_000;

/** Collects what is missing: 8 bytes a page. */
export class MissingList {
  readonly #pages = new Map<StoredFile, number[]>();

  /**
   * Adds pages of a file.
   *
   * @param offset where the task begins in the file, in bytes.
   * @param pages counted from there.
   */
  add(file: StoredFile, offset: number, pages: readonly number[]): void {
    if (pages.length === 0) return;
    const first = offset / PAGE_BYTES;
    const known = this.#pages.get(file);
    const list = known ?? [];
    if (known === undefined) this.#pages.set(file, list);
    for (const page of pages) list.push(first + page);
  }

  /** Everything, in the order of files and pages. */
  finish(): Missing {
    const runs: MissingPages[] = [];
    let bytes = 0;
    const files = [...this.#pages].sort(([a], [b]) => a.entry - b.entry);
    for (const [file, pages] of files) {
      for (const run of runsOf(file, Float64Array.from(pages).sort())) {
        bytes += run.bytes;
        if (runs.length < MAX_NAMED) runs.push(run);
      }
    }
    return { bytes, runs };
  }
}

/** Pages that follow each other in the file, and in memory. */
function* runsOf(file: StoredFile, pages: Float64Array): Generator<MissingPages> {
  const { name, content, role } = file;
  const { sizeBytes, addresses } = content;
  const image = Buffer.from(name).toString();
  const space = addresses?.name ?? role;
  let [run, runEnd, runFirst] = [-1, 0, 0];
  for (let i = 0; i < pages.length;) {
    const first = pages[i] as number;
    while (addresses !== undefined && first >= runEnd) {
      run += 1;
      runFirst = runEnd;
      runEnd += addresses.runLength[run] ?? Infinity;
    }
    const limit = addresses === undefined ? Infinity : runEnd;
    let end = first + 1;
    for (i += 1; pages[i] === end && end < limit; i++) end += 1;
    const address = addresses && ((addresses.runStart[run] ?? 0) + first - runFirst) * PAGE_BYTES;
    yield {
      image,
      space,
      offset: first * PAGE_BYTES,
      firstAddress: address === undefined ? undefined : hexOf(address),
      bytes: Math.min(sizeBytes, end * PAGE_BYTES) - first * PAGE_BYTES,
    };
  }
}

/** Addresses reach 2^64: only multiples of a page, so they are exact. */
function hexOf(address: number): string {
  return `0x${BigInt(address).toString(16)}`;
}
