/** Runs of the page index for tests, made from plain lists of pages. */
import { writeFileSync } from 'node:fs';
import { encodeRun } from '../../src/index/run.ts';

/** A page as the index knows it. */
export interface IndexedPage {
  /** First four bytes of the digest. */
  readonly prefix: number;
  /** The next two. */
  readonly rest: number;
  readonly segment: number;
  readonly slot: number;
}

/** A digest that begins with what the index keeps of it. */
export function digestOf({ prefix, rest }: Pick<IndexedPage, 'prefix' | 'rest'>): Uint8Array {
  const digest = new Uint8Array(32);
  const view = new DataView(digest.buffer);
  view.setUint32(0, prefix);
  view.setUint16(4, rest);
  return digest;
}

/** The digest of a pack, and so its name, from a number. */
export function packDigest(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

/** The bytes of a run. */
export function runBytes(pages: readonly IndexedPage[], pack: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  const entries = {
    count: pages.length,
    prefix: Uint32Array.from(pages, ({ prefix }) => prefix),
    rest: Uint16Array.from(pages, ({ rest }) => rest),
    segment: Uint16Array.from(pages, ({ segment }) => segment),
    slot: Uint32Array.from(pages, ({ slot }) => slot),
  };
  encodeRun(entries, pack, (bytes) => void parts.push(Uint8Array.from(bytes)));
  return Uint8Array.from(Buffer.concat(parts));
}

/** Writes a run to `path`. */
export function writeRun(path: string, pages: readonly IndexedPage[], pack: Uint8Array): void {
  writeFileSync(path, runBytes(pages, pack));
}
