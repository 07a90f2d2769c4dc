/** Slices that are scanned: what each page is, with a head or without, over any base. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/slices/session.ts';
import { scan } from '../../src/slices/scan.ts';
import { PAGE, type Slice } from '../../src/slices/slice.ts';
import type { SessionSetup } from '../../src/slices/tasks.ts';
import { numberedPage } from '../support/made-packs.ts';
import {
  type BaseLeaf,
  headOf,
  type MadeFile,
  newSession,
  newSlice,
  putBase,
  putLeaves,
  storeFile,
} from '../support/made-slices.ts';
import { PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const { zero, same, changed, inherited } = PAGE;

/** A base of two leaves. */
const directory = new PackDirectory(nextPath());
const base = storeFile(directory, 600);

/** The base's first 512 pages, some of them changed: every fifth, and every page of zeros of 8. */
const pages = base.pages.slice(0, 512).map((page, i) => {
  if (i % 5 === 0) return numberedPage(90_000 + i);
  return i % 8 === 3 ? new Uint8Array(4096).fill(1) : page;
});

function kindOf(i: number): number {
  const isZero = pages[i]!.every((byte) => byte === 0);
  if (isZero) return zero;
  return i % 5 === 0 || i % 8 === 3 ? changed : same;
}

interface Scanned {
  readonly slice: Slice;
  readonly session: Session;
}

/** Scans a slice of `content` over a base. */
function scanOver(
  file: MadeFile,
  content: readonly Uint8Array[],
  options: {
    readonly setup?: Partial<SessionSetup>;
    readonly packs?: PackDirectory;
    readonly headPage?: number;
    readonly leaves?: (leaves: BaseLeaf[]) => BaseLeaf[];
    readonly prepare?: (slice: Slice) => void;
  } = {},
): Scanned {
  const {
    setup,
    packs = directory,
    headPage,
    leaves = (list: BaseLeaf[]): BaseLeaf[] => list,
    prepare,
  } = options;
  const bytes = Buffer.concat(content);
  const session = newSession(packs, { ...setup, sources: [{ kind: 'bytes', bytes }] });
  const slice = newSlice();
  slice.kinds.fill(changed);
  const baseLeaves = putLeaves(slice, leaves(putBase(slice, file, headPage)));
  prepare?.(slice);
  const range = { offset: 0, bytes: bytes.length, first: 0, end: content.length };
  const request = { slice: slice.handle, source: 0, ...range, baseLeaves };
  scan(session, request);
  return { slice, session };
}

function withOtherDigest(leaf: BaseLeaf): BaseLeaf {
  return { ...leaf, digest: sha256(leaf.digest) };
}

function kindsIn(slice: Slice, count: number): number[] {
  return [...slice.kinds.subarray(0, count)];
}

function expectDigests(slice: Slice, content: readonly Uint8Array[]): void {
  const digests = Buffer.concat(content.map((page) => sha256(page)));
  expect(digests.equals(slice.digests.subarray(0, digests.length))).toBe(true);
}

/** What comes out whether there is a good head, a bad one, or none. */
function expectScanned({ slice }: Scanned): void {
  expect(kindsIn(slice, 512)).toEqual(pages.map((_, i) => kindOf(i)));
  expectDigests(slice, pages);
  expect([...slice.baseIsKnown.subarray(0, 2)]).toEqual([1, 1]);
}

function writeHead(bytes: Uint8Array): string {
  const path = nextPath();
  writeFileSync(path, bytes);
  return path;
}

describe('scan', () => {
  it('tells what is the same from a head alone, wherever the file is in it', () => {
    for (const before of [0, 3]) {
      const head = writeHead(headOf(base.pages, before));
      const scanned = scanOver(base, pages, { setup: { head }, headPage: before });
      expectScanned(scanned);
      expect(scanned.session.report()).toEqual({ lost: [], framesDecoded: 0, framesNeeded: 0 });
    }
  });

  it('tells the same without a head, from the pages of the base', () => {
    for (const head of [undefined, nextPath()]) {
      const scanned = scanOver(base, pages, { setup: { head } });
      expectScanned(scanned);
      const { lost, framesNeeded } = scanned.session.report();
      expect([lost, framesNeeded > 2]).toEqual([[], true]);
    }
  });

  it('tells the same with a head that is cut anywhere', () => {
    const whole = headOf(base.pages);
    for (const length of [0, 31, 32, 33, 63, 32 + 511 * 32, 32 + 512 * 32, whole.length - 1]) {
      const head = writeHead(whole.subarray(0, length));
      expectScanned(scanOver(base, pages, { setup: { head } }));
    }
  });

  it('tells the same with a head that is damaged, or is that of another snapshot', () => {
    for (const at of [32, 32 + 31, 32 + 300 * 32 + 5, 32 + 512 * 32, 32 + 600 * 32 - 1]) {
      const bytes = headOf(base.pages);
      bytes[at]! ^= 1 << (at & 7);
      expectScanned(scanOver(base, pages, { setup: { head: writeHead(bytes) } }));
    }
    const other = writeHead(headOf([...base.pages].reverse()));
    expectScanned(scanOver(base, pages, { setup: { head: other } }));
    const shifted = writeHead(headOf(base.pages));
    expectScanned(scanOver(base, pages, { setup: { head: shifted }, headPage: 1 }));
  });

  it('does not take a head for more than its leaf', () => {
    const bytes = headOf(base.pages);
    bytes[32 + 550 * 32]! ^= 1;
    const { session } = scanOver(base, pages, { setup: { head: writeHead(bytes) } });
    // Only the pages of the second leaf were read: of the 22 full ones from slot 256 on.
    expect(session.report().framesDecoded).toBeLessThan(5);
  });

  it('finds everything changed without a base, or with one that is not its leaves', () => {
    const none = scanOver(base, pages, { prepare: (slice) => slice.basePage.fill(-1) });
    const leaves = (list: BaseLeaf[]) => list.map(withOtherDigest);
    const wrong = scanOver(base, pages, { leaves });
    for (const { slice } of [none, wrong]) {
      const kinds = pages.map((page) => (page.every((byte) => byte === 0) ? zero : changed));
      expect(kindsIn(slice, 512)).toEqual(kinds);
      expectDigests(slice, pages);
    }
    expect([...wrong.slice.baseIsKnown.subarray(0, 2)]).toEqual([0, 0]);
  });

  it('compares a page with the one that it is told to', () => {
    const moved = base.pages.slice(10, 20);
    const prepare = (slice: Slice) => {
      for (let i = 0; i < 10; i++) slice.basePage[i] = i + 10;
    };
    const { slice } = scanOver(base, moved, { prepare });
    const kinds = moved.map((page) => (page.every((byte) => byte === 0) ? zero : same));
    expect(kindsIn(slice, 10)).toEqual(kinds);
  });
});

describe('the last page of a file', () => {
  const [first, last] = [numberedPage(1), numberedPage(2, 100)];
  const packs = new PackDirectory(nextPath());
  const short = storeFile(packs, 1);

  it('is the same only with its length', () => {
    const content = short.pages[0]!;
    const longer = Uint8Array.from([...content, 0]);
    const whole = new Uint8Array(4096);
    whole.set(content);
    for (const [page, kind] of [
      [content, same],
      [longer, changed],
      [whole, changed],
    ] as const) {
      const { slice } = scanOver(short, [page], { packs });
      expect(slice.kinds[0]).toBe(kind);
      expectDigests(slice, [page]);
    }
  });

  it('is filled up with zeros in the slice, and is no page of zeros if it is short', () => {
    const { slice } = scanOver(short, [first, last], {
      packs,
      prepare: (dirty) => dirty.pages.fill(0xee),
    });
    expect(slice.pages.subarray(4096, 4196).equals(last)).toBe(true);
    expect(slice.pages.subarray(4196, 8192).equals(Buffer.alloc(3996))).toBe(true);
    const zeros = scanOver(short, [first, new Uint8Array(100)], { packs }).slice;
    expect([
      zeros.kinds[1],
      scanOver(short, [first, new Uint8Array(4096)], { packs }).slice.kinds[1],
    ]).toEqual([changed, zero]);
  });
});

describe('pages that an incremental dump inherits', () => {
  const marked = (slice: Slice) => slice.kinds.fill(inherited, 4, 9);
  /** What nobody may look at. */
  const garbage = pages.map((page, i) =>
    i >= 4 && i < 9 ? new Uint8Array(4096).fill(0xdd) : page,
  );

  it('have the digests of the base, and are not read', () => {
    const { slice } = scanOver(base, garbage, { prepare: marked });
    const expected = pages.map((page, i) => (i >= 4 && i < 9 ? base.pages[i]! : page));
    expectDigests(slice, expected);
    expect(kindsIn(slice, 12)).toEqual(
      expected.slice(0, 12).map((_, i) => (i >= 4 && i < 9 ? same : kindOf(i))),
    );
    expect(slice.pages.subarray(4 * 4096, 9 * 4096).equals(Buffer.alloc(5 * 4096))).toBe(true);
  });

  it('are an error when the base cannot be known, and when it has none', () => {
    const error = expect.objectContaining({ code: 'CORRUPT' });
    const leaves = (list: BaseLeaf[]) => list.map(withOtherDigest);
    expect(() => scanOver(base, garbage, { prepare: marked, leaves })).toThrow(error);
    const prepare = (slice: Slice) => {
      marked(slice);
      slice.basePage[8] = -1;
    };
    expect(() => scanOver(base, garbage, { prepare })).toThrow(/pages of the snapshot before/);
  });
});

describe('a base that is damaged', () => {
  /** A store like the other one, whose first frame has a bit changed. */
  function damaged(): { packs: PackDirectory; file: string } {
    const packs = new PackDirectory(nextPath());
    storeFile(packs, 600);
    const file = packs.pathOf(packs.table.packName(1));
    const bytes = readFileSync(file);
    bytes[16 + 30]! ^= 1;
    rmSync(file);
    writeFileSync(file, bytes);
    return { packs, file };
  }

  it('is no base, and is reported, where its pages must be read', () => {
    const { packs, file } = damaged();
    const { slice, session } = scanOver(base, pages, { packs });
    expect([...slice.baseIsKnown.subarray(0, 2)]).toEqual([0, 1]);
    expect(kindsIn(slice, 512).filter((kind) => kind === same)).toEqual([]);
    expectDigests(slice, pages);
    expect(session.report().lost).toEqual([{ file, offset: 16 }]);
  });

  it('is as good as whole as long as nobody knows, and a head says what it was', () => {
    const { packs } = damaged();
    const head = writeHead(headOf(base.pages));
    expectScanned(scanOver(base, pages, { packs, setup: { head } }));
  });

  it('does not match where its damage is known, so that its pages are stored again', () => {
    const { packs, file } = damaged();
    const head = writeHead(headOf(base.pages));
    const lostFrames = [{ file, offset: 16 }];
    const setup = { head, lostFrames, refuseLost: true };
    const { slice } = scanOver(base, pages, { packs, setup });
    expect([...slice.baseIsKnown.subarray(0, 2)]).toEqual([1, 1]);
    // Slots 0 to 63 are lost: the full pages of the first 128 pages, and the deltas upon them.
    const kinds = pages.map((_, i) => (i < 128 && kindOf(i) === same ? changed : kindOf(i)));
    expect(kindsIn(slice, 512)).toEqual(kinds);
  });
});
