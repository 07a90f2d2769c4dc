/** What is done to every page: its digest, and the difference to the page that it replaces. */
import { fillPages, PAGE_BYTES } from '../generate/page-content.ts';
import { Random } from '../generate/random.ts';
import type { Internals } from '../internals.ts';
import type { MicroCase } from './stopwatch.ts';

const PAGES = 1024;

/** How a page changes: so many fields, of so many bytes each, at random places. */
interface Change {
  readonly fields: number;
  readonly fieldBytes: number;
}

/** 1 byte; 20 bytes as pages of redis do; 200 bytes as those of Node.js do. */
const CHANGES: readonly Change[] = [
  { fields: 1, fieldBytes: 1 },
  { fields: 5, fieldBytes: 4 },
  { fields: 50, fieldBytes: 4 },
];

/** What a changed page of redis is like. */
export const REDIS_CHANGE: Change = CHANGES[1] as Change;

/** A page as bytes and as words. */
export interface ViewedPage {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/** The cases of single pages. */
export function pageCases(internals: Internals): MicroCase[] {
  const pages = makePages(PAGES);
  return [
    digestCase(internals, pages),
    diffCase(internals, 'compare equal pages', pages, changePages(pages)),
    ...CHANGES.map((change) => {
      const places = change.fields === 1 ? '1 place' : `${change.fields} places`;
      const bytes = change.fields * change.fieldBytes;
      const name = `difference of ${bytes} B in ${places}`;
      return diffCase(internals, name, pages, changePages(pages, change));
    }),
  ];
}

/** Different pages, viewed. */
export function makePages(count: number): ViewedPage[] {
  const bytes = new Uint8Array(count * PAGE_BYTES);
  fillPages(bytes, 0, 1);
  return viewPages(bytes);
}

/** Copies of pages, changed; equal to them when nothing is said. */
export function changePages(pages: readonly ViewedPage[], change?: Change): ViewedPage[] {
  const bytes = Buffer.alloc(pages.length * PAGE_BYTES);
  const random = new Random(3);
  pages.forEach((page, i) => {
    bytes.set(page.bytes, i * PAGE_BYTES);
    for (let field = 0; field < (change?.fields ?? 0); field++) {
      const length = change?.fieldBytes ?? 0;
      const start = i * PAGE_BYTES + random.below(PAGE_BYTES / length) * length;
      for (let at = start; at < start + length; at++) bytes[at] = ~(bytes[at] as number);
    }
  });
  return viewPages(bytes);
}

function viewPages(bytes: Uint8Array): ViewedPage[] {
  return Array.from({ length: bytes.length / PAGE_BYTES }, (_, i) => {
    const start = i * PAGE_BYTES;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, PAGE_BYTES / 4);
    return { bytes: bytes.subarray(start, start + PAGE_BYTES), words };
  });
}

function digestCase({ digest }: Internals, pages: readonly ViewedPage[]): MicroCase {
  const target = Buffer.alloc(pages.length * digest.DIGEST_BYTES);
  const call = (): void => {
    pages.forEach(({ bytes }, i) => {
      digest.sha256Into(bytes, target, i * digest.DIGEST_BYTES);
    });
  };
  return { name: 'digest', unit: 'page', unitsPerCall: pages.length, call };
}

function diffCase(
  { pageDiff }: Internals,
  name: string,
  bases: readonly ViewedPage[],
  pages: readonly ViewedPage[],
): MicroCase {
  const diff = new pageDiff.PageDiff();
  const record = new Uint8Array(PAGE_BYTES);
  const isEqual = Buffer.compare(pages[0]?.bytes ?? record, bases[0]?.bytes ?? record) === 0;
  const call = (): void => {
    for (let i = 0; i < pages.length; i++) {
      const isNear = diff.compare(pages[i] as ViewedPage, bases[i] as ViewedPage);
      if (!isNear) throw new Error('pages differ in too much');
      if (!isEqual) diff.writeRecord(record, 0, { segment: 1, slot: i, depth: 1 });
    }
  };
  return { name, unit: 'page', unitsPerCall: pages.length, call };
}
