/**
 * Mutated dumps, a hundred times CRIU_TIMELINE_CASES (200, so 20,000): a capture ends with a
 * StoreError and an unchanged store, or with a snapshot that restores what was captured; nothing
 * else, soon, and without memory for what is not there.
 *
 * The dumps are the real ones with their pages files shortened (the pagemaps to match), so that a
 * case costs milliseconds. Cases run in memory where the machine has /dev/shm.
 */
import { copyFileSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import {
  decodePagemap,
  encodePagemap,
  type ImageDirectory,
  openImageDirectory,
} from '../../src/criu.ts';
import { type SnapshotStore, StoreError } from '../../src/index.ts';
import { fixture } from '../support/fixtures.ts';
import { readEntry } from '../support/image-directories.ts';
import { mutate, mutation, type Mutation } from '../support/mutations.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const cases = 100 * Number(process.env['CRIU_TIMELINE_CASES'] ?? 200);
const root = mkdtempSync(
  join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'criu-timeline-fuzz-'),
);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Entries of a pagemap that are kept, and pages of each. */
const KEPT = { entries: 12, pages: 3 } as const;
/** Longest time for one case: a hang is many times this. */
const MAX_MS = 5000;
/** Memory that all cases may take beyond what the first ones took. */
const MAX_GROWTH_BYTES = 96 * 1024 * 1024;

interface Case {
  /** Index of the chain. */
  readonly source: number;
  /** Directory of the chain that is captured. */
  readonly captured: '1' | '2' | '3';
  /** Changes, each of one of the directories. */
  readonly changes: readonly { readonly level: '1' | '2' | '3'; readonly change: Mutation }[];
}

/** Makes a small version of a chain of dumps: the same kinds of images, with fewer pages. */
function makeSmallChain(name: string): string {
  const target = join(root, `source-${name}`);
  for (const level of ['1', '2', '3'] as const) {
    const from = join(fixture(name), level);
    const to = join(target, level);
    mkdirSync(to, { recursive: true });
    for (const file of readdirSync(from)) {
      const path = join(from, file);
      if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(to, file));
      else copyFileSync(path, join(to, file));
    }
    for (const file of readdirSync(to)) if (file.startsWith('pagemap-')) shorten(to, file);
  }
  // It is only worth its name if it is still a chain that can be read.
  expect(openImageDirectory(join(target, '3')).chainDepth).toBe(2);
  return target;
}

/** Keeps some pages of every run of addresses: the same ones in each directory of the chain. */
function shorten(directory: string, file: string): void {
  const path = join(directory, file);
  const pagemap = decodePagemap(readFileSync(path));
  const pagesPath = join(directory, `pages-${pagemap.pagesId}.img`);
  const pages = existsSync(pagesPath) ? readFileSync(pagesPath) : Buffer.alloc(0);
  const kept: Buffer[] = [];
  const starts: number[] = [];
  const flags: number[] = [];
  let offset = 0;
  pagemap.starts.forEach((start, i) => {
    const flag = pagemap.flags[i] ?? 0;
    for (let page = 0; page < (pagemap.counts[i] ?? 0); page++) {
      const isPresent = (flag & 4) !== 0;
      // By address, so that a page of a parent is kept whenever its child's is.
      if ((start + page) % 16 < KEPT.pages && starts.length < KEPT.entries * 40) {
        starts.push(start + page);
        flags.push(flag);
        if (isPresent) kept.push(pages.subarray(offset, offset + 4096));
      }
      if (isPresent) offset += 4096;
    }
  });
  const counts = Float64Array.from(starts, () => 1);
  const columns = { starts: Float64Array.from(starts), counts, flags: Uint8Array.from(flags) };
  writeFileSync(path, encodePagemap({ ...pagemap, ...columns }));
  writeFileSync(pagesPath, Buffer.concat(kept));
}

const sources = ['chain-4.1', 'chain-4.2'].map(makeSmallChain);

const level = fc.constantFrom('1', '2', '3');
const anyCase: fc.Arbitrary<Case> = fc.record({
  source: fc.nat(sources.length - 1),
  captured: level,
  changes: fc.array(fc.record({ level, change: mutation }), { minLength: 1, maxLength: 4 }),
});

/** A directory that is changed and put back: copying only what differs keeps a case cheap. */
class Sandbox {
  readonly path: string;
  readonly #source: string;

  constructor(source: string, number: number) {
    this.#source = source;
    this.path = join(root, `sandbox-${number}`);
    for (const name of ['1', '2', '3']) this.reset(name);
  }

  /** Puts a directory back as it was. */
  reset(name: string): void {
    const [from, to] = [join(this.#source, name), join(this.path, name)];
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to, { recursive: true });
    for (const file of readdirSync(from)) {
      const path = join(from, file);
      if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(to, file));
      else copyFileSync(path, join(to, file));
    }
  }
}

/** The content of a flat directory, by name. */
function contentOf(directory: ImageDirectory): Map<string, Buffer> {
  return new Map(
    directory.entries
      .filter(({ kind }) => kind === 'file')
      .map((entry) => [Buffer.from(entry.name).toString('latin1'), Buffer.from(readEntry(entry))]),
  );
}

function expectRestored(target: string, expected: ReadonlyMap<string, Buffer>): void {
  expect(readdirSync(target).sort()).toEqual([...expected.keys()].sort());
  for (const [name, bytes] of expected) {
    if (!readFileSync(join(target, name)).equals(bytes)) throw new Error(`${name} differs`);
  }
}

function expectSameFiles(target: string, images: string): void {
  for (const name of readdirSync(images)) {
    if (!readFileSync(join(target, name)).equals(readFileSync(join(images, name)))) {
      throw new Error(`${name} is not the file that was captured`);
    }
  }
}

const outcomes = new Map<string, number>();

function count(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

/** Opens a directory; the StoreError when it is refused. */
function tryOpen(path: string): Map<string, Buffer> | StoreError {
  try {
    return contentOf(openImageDirectory(path));
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

let chains = 0;

/**
 * A dump with a parent goes into a timeline of its own, where no snapshot can stand in for what is
 * damaged on disk; the others continue one another.
 */
function timelineFor(images: string): string {
  return hasParent(images) ? `chain-${++chains}` : 't';
}

/** Whether there is a link, wherever it leads. */
function hasParent(images: string): boolean {
  return lstatSync(join(images, 'parent'), { throwIfNoEntry: false }) !== undefined;
}

async function runCase(store: SnapshotStore, images: string): Promise<void> {
  const opened = tryOpen(images);
  const before = store.statistics();
  const target = join(root, 'restored');
  try {
    const snapshot = await store.timeline(timelineFor(images)).capture({ images });
    if (opened instanceof StoreError) throw new Error('captured, but could not be opened');
    await snapshot.restore(target);
    expectRestored(target, opened);
    // Without a parent, what comes back is what was there, and nobody's reading of it.
    if (!hasParent(images)) expectSameFiles(target, images);
    rmSync(target, { recursive: true });
    snapshot.describe();
    count('captured');
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(opened, error.message).toBeInstanceOf(StoreError);
    expect(error.code, error.message).not.toBe('CORRUPT');
    expect(error.file, error.message).toBeDefined();
    expect(store.statistics()).toEqual(before);
    const { code } = (error.cause ?? {}) as { code?: unknown };
    count(error.code === 'STORAGE' ? `STORAGE by ${String(code)}` : error.code);
  }
}

test(`${cases} mutated dumps are refused or captured, and nothing else`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`fuzz: seed ${seed}\n`);
  const sandboxes = sources.map((source, i) => new Sandbox(source, i));
  // Little is kept in memory: how many closed stores are garbage still is not what is looked at.
  const open = (number: number) =>
    openUnmanaged(join(root, `store-${number}`), { create: true, warmBytes: 4 * 1024 * 1024 });
  let [number, used] = [0, 0];
  let store = await open(number);
  let peak = 0;
  let slowest = 0;
  const property = fc.asyncProperty(anyCase, async ({ source, captured, changes }) => {
    const sandbox = sandboxes[source] as Sandbox;
    const touched = new Set(changes.map((each) => each.level));
    try {
      for (const each of changes) mutate(join(sandbox.path, each.level), each.change);
      const began = performance.now();
      await runCase(store, join(sandbox.path, captured));
      const { arrayBuffers } = process.memoryUsage();
      const highest = process.resourceUsage().maxRSS * 1024;
      slowest = Math.max(slowest, performance.now() - began);
      expect(slowest).toBeLessThan(MAX_MS);
      // The first cases fill caches and pools.
      if (++used <= 300) peak = highest;
      expect(highest).toBeLessThan(peak + MAX_GROWTH_BYTES);
      expect(arrayBuffers).toBeLessThan(MAX_GROWTH_BYTES * 4);
    } finally {
      for (const name of touched) sandbox.reset(name);
      rmSync(join(root, 'restored'), { recursive: true, force: true });
    }
    // A store of thousands of packs is another test's business.
    if (used % 250 !== 0) return;
    expect((await store.verify({ level: 'quick' })).problems).toEqual([]);
    await store.close();
    rmSync(store.directory, { recursive: true });
    store = await open(++number);
  });
  await fc.assert(property, { numRuns: cases, seed, endOnFailure: false });
  expect((await store.verify()).problems).toEqual([]);
  await store.close();
  const summary = [...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ');
  process.stderr.write(
    `fuzz: ${cases} cases: ${summary}; slowest ${Math.round(slowest)} ms, ` +
      `peak ${Math.round(process.resourceUsage().maxRSS / 1000)} MB\n`,
  );
  if (cases < 300) return;
  // The third is rare: of 800 cases, 1 to 10.
  const expected = ['captured', 'INVALID_IMAGE', ...(cases < 3000 ? [] : ['INCOMPLETE'])];
  for (const outcome of expected) expect(outcomes.get(outcome)).toBeGreaterThan(cases / 300);
  expect(statSync(root).isDirectory()).toBe(true);
});
