import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodePagemap,
  encodeMessage,
  encodePagemap,
  type ImagePiece,
  needsParent,
  type Pagemap,
  type PagemapGeneration,
  PE_LAZY,
  PE_PARENT,
  PE_PRESENT,
  presentPages,
} from '../../src/criu/index.ts';
import { fixture } from '../support/fixtures.ts';
import { madeImage, madePagemap, messagePiece } from '../support/image-directories.ts';

const GENERATIONS = ['flags-absent', 'count-in-field-2', 'count-in-field-5'] as const;

type Entry = Readonly<Record<string, unknown>>;

/** The bytes of a pagemap image with entries as given. */
function image(entries: readonly Entry[]): Uint8Array {
  const pieces: ImagePiece[] = entries.map((entry) =>
    messagePiece('pagemap_entry', { compat_nr_pages: 0, ...entry }),
  );
  return madeImage('PAGEMAP', [messagePiece('pagemap_head', { pages_id: 7 }), ...pieces]);
}

const present = (vaddr: bigint, nr_pages: bigint): Entry => ({ vaddr, nr_pages, flags: 4 });

/** Columns as rows. */
function rows({ starts, counts, flags }: Pagemap): number[][] {
  return Array.from(starts, (start, i) => [start, counts[i] ?? 0, flags[i] ?? 0]);
}

function refusal(code: string, entries: readonly Entry[], pageBytes?: 16384): void {
  const bytes = image(entries);
  expect(() => decodePagemap(bytes, { file: 'pagemap-1.img', pageBytes })).toThrow(
    expect.objectContaining({ code, file: 'pagemap-1.img', offset: expect.any(Number) }),
  );
}

describe('real pagemaps', () => {
  const cases = [
    ['zoo-4.1', 'count-in-field-2'],
    ['chain-4.1', 'count-in-field-2'],
    ['zoo-4.2', 'count-in-field-5'],
    ['chain-4.2', 'count-in-field-5'],
  ] as const;

  it.each(cases)('of %s are written again byte for byte', (name, generation) => {
    for (const one of readdirSync(fixture(name))) {
      const directory = fixture(`${name}/${one}`);
      for (const file of readdirSync(directory)) {
        if (!file.startsWith('pagemap-')) continue;
        const bytes = new Uint8Array(readFileSync(join(directory, file)));
        const pagemap = decodePagemap(bytes, { file });
        expect(encodePagemap(pagemap)).toEqual(bytes);
        if (pagemap.starts.length > 0) expect(pagemap.generation).toBe(generation);
        const pages = readFileSync(join(directory, `pages-${pagemap.pagesId}.img`));
        expect(presentPages(pagemap) * 4096).toBe(pages.length);
        expect(needsParent(pagemap) && !/chain-.*\/[23]/.test(directory)).toBe(false);
      }
    }
  });
});

describe('the generations', () => {
  it('until 3.4 say by in_parent alone where pages are', () => {
    const pagemap = decodePagemap(
      image([
        { vaddr: 4096n, compat_nr_pages: 2 },
        { vaddr: 12288n, compat_nr_pages: 3, in_parent: true },
        { vaddr: 40960n, compat_nr_pages: 1, in_parent: false },
      ]),
    );
    expect(pagemap.generation).toBe('flags-absent');
    expect(rows(pagemap)).toEqual([
      [1, 2, PE_PRESENT],
      [3, 3, PE_PARENT],
      [10, 1, PE_PRESENT],
    ]);
  });

  it('until 4.1 count in field 2, since 4.2 in field 5', () => {
    const old = decodePagemap(image([{ vaddr: 4096n, compat_nr_pages: 2, flags: 6 }]));
    expect(old.generation).toBe('count-in-field-2');
    expect(rows(old)).toEqual([[1, 2, 6]]);
    const both = { vaddr: 4096n, compat_nr_pages: 9, flags: 1, nr_pages: 2n ** 33n };
    const now = decodePagemap(image([both]));
    expect(now.generation).toBe('count-in-field-5');
    expect(rows(now)).toEqual([[1, 2 ** 33, 1]]);
  });

  it('add in_parent to flags that are there', () => {
    const entry = { vaddr: 0n, compat_nr_pages: 1, in_parent: true, flags: 2 };
    expect(rows(decodePagemap(image([entry])))).toEqual([[0, 1, PE_PARENT | PE_LAZY]]);
  });

  it('have limits that the encoder keeps to', () => {
    const encode = (generation: PagemapGeneration, run: { count: number; flags?: number }) =>
      encodePagemap(madePagemap(1, [{ start: 1, ...run }], generation));
    expect(() => encode('flags-absent', { count: 1, flags: 6 })).toThrow(RangeError);
    expect(() => encode('count-in-field-2', { count: 2 ** 32 })).toThrow(RangeError);
    expect(() => encode('count-in-field-5', { count: 2 ** 32, flags: 8 })).toThrow(RangeError);
    expect(() => encode('count-in-field-5', { count: 2 ** 32 })).not.toThrow();
  });

  it('keep every pagemap of each of them', () => {
    const gap = fc.record({
      skip: fc.integer({ min: 0, max: 2 ** 40 }),
      count: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      flags: fc.constantFrom(PE_PRESENT, PE_PARENT, PE_PRESENT | PE_LAZY, PE_PARENT | PE_LAZY),
    });
    fc.assert(
      fc.property(fc.constantFrom(...GENERATIONS), fc.array(gap), (generation, gaps) => {
        let next = 0;
        const runs = gaps.map(({ skip, count, flags }) => {
          const start = next + skip;
          next = start + count;
          return { start, count, flags: generation === 'flags-absent' ? flags & 5 : flags };
        });
        const pagemap = madePagemap(3, runs, generation);
        const decoded = decodePagemap(encodePagemap(pagemap));
        expect(rows(decoded)).toEqual(rows(pagemap));
        // An entry without pages in the parent looks the same with and without flags.
        if (runs.length > 0) expect(decoded.generation).toBe(generation);
      }),
    );
  });

  it('write each entry as its protobuf message would be', () => {
    for (const start of [0, 1, 3, 4, 5, 127, 2 ** 21, 2 ** 36 - 1, 2 ** 41 + 1, 2 ** 52 - 1]) {
      const bytes = encodePagemap(madePagemap(7, [{ start, count: 1 }]));
      expect(bytes).toEqual(image([present(BigInt(start) * 4096n, 1n)]));
    }
  });
});

describe('decodePagemap', () => {
  it('keeps fields of the head that it does not know', () => {
    const head = Uint8Array.from([...encodeMessage('pagemap_head', { pages_id: 7 }), 0x50, 1]);
    const piece: ImagePiece = { kind: 'message', type: undefined, offset: 0, bytes: head };
    const bytes = madeImage('PAGEMAP', [piece]);
    expect(encodePagemap(decodePagemap(bytes))).toEqual(bytes);
  });

  it('reads the last page of the address space', () => {
    const pagemap = decodePagemap(image([present(2n ** 64n - 4096n, 1n)]));
    expect(rows(pagemap)).toEqual([[2 ** 52 - 1, 1, 4]]);
  });

  it('refuses entries out of order, overlapping, or equal', () => {
    refusal('INVALID_IMAGE', [present(8192n, 1n), present(4096n, 1n)]);
    refusal('INVALID_IMAGE', [present(4096n, 3n), present(8192n, 1n)]);
    refusal('INVALID_IMAGE', [present(4096n, 1n), present(4096n, 1n)]);
  });

  it('refuses ranges that wrap past the end of the address space', () => {
    refusal('INVALID_IMAGE', [present(2n ** 64n - 4096n, 2n)]);
    refusal('INVALID_IMAGE', [present(4096n, 2n ** 64n - 1n)]);
  });

  it('refuses entries of no pages, and addresses inside a page', () => {
    refusal('INVALID_IMAGE', [present(4096n, 0n)]);
    refusal('INVALID_IMAGE', [{ vaddr: 4096n, compat_nr_pages: 0, flags: 4 }]);
    refusal('INVALID_IMAGE', [present(4097n, 1n)]);
  });

  it('checks alignment and overlap against a larger page size', () => {
    refusal('INVALID_IMAGE', [present(4096n, 1n)], 16384);
    refusal('INVALID_IMAGE', [present(0n, 2n), present(16384n, 1n)], 16384);
    const bytes = image([present(0n, 2n), present(32768n, 1n)]);
    expect(rows(decodePagemap(bytes, { pageBytes: 16384 }))).toHaveLength(2);
  });

  it('refuses pages that are nowhere, and pages that are in two places', () => {
    refusal('INVALID_IMAGE', [{ vaddr: 4096n, nr_pages: 1n, flags: 0 }]);
    refusal('INVALID_IMAGE', [{ vaddr: 4096n, nr_pages: 1n, flags: 5 }]);
  });

  it('does not support pages of a lazy dump, unknown flags and compressed pages', () => {
    refusal('UNSUPPORTED_IMAGE', [{ vaddr: 4096n, nr_pages: 1n, flags: PE_LAZY }]);
    refusal('UNSUPPORTED_IMAGE', [{ vaddr: 4096n, nr_pages: 1n, flags: 12 }]);
    refusal('UNSUPPORTED_IMAGE', [{ vaddr: 4096n, nr_pages: 1n, flags: 2 ** 32 - 1 }]);
    const entry = encodeMessage('pagemap_entry', { compat_nr_pages: 0, ...present(4096n, 1n) });
    const head = messagePiece('pagemap_head', { pages_id: 7 });
    const compressed = Uint8Array.from([...entry, 0x32, 1, 5]);
    const piece: ImagePiece = { kind: 'message', type: undefined, offset: 0, bytes: compressed };
    expect(() => decodePagemap(madeImage('PAGEMAP', [head, piece]))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_IMAGE' }),
    );
  });

  it('refuses an image that is cut off anywhere inside an entry', () => {
    const bytes = image([present(4096n, 1n), present(2n ** 47n, 300n)]);
    const ends = new Set([14, image([present(4096n, 1n)]).length]);
    for (let length = 0; length < bytes.length; length++) {
      if (ends.has(length)) continue;
      expect(() => decodePagemap(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'INVALID_IMAGE' }),
      );
    }
  });

  it('refuses other images, and pagemaps of the format before 1.6', () => {
    expect(() => decodePagemap(madeImage('PSTREE', []))).toThrow(
      expect.objectContaining({ code: 'INVALID_IMAGE' }),
    );
    expect(() => decodePagemap(image([]).subarray(4))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_IMAGE' }),
    );
  });
});
