/**
 * The memory of made processes as plain maps, and dumps of it as CRIU writes them: full ones, and
 * incremental ones on top of another memory, whose directory need not exist.
 */
import { hash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { encodePagemap, PE_PARENT, PE_PRESENT } from '../../src/criu/index.ts';
import { openImageDirectory } from '../../src/images/index.ts';
import { filesOf, madeInventory, madePagemap, memoryOf } from './image-directories.ts';
import { randomNumbers } from './kills.ts';

/** Address / 4096 to the page there. */
export type MadePages = ReadonlyMap<number, Buffer>;

/** The spaces of a dump by name, `pagemap-7` and so on, and its other files. */
export interface Memory {
  readonly spaces: ReadonlyMap<string, MadePages>;
  readonly files: ReadonlyMap<string, Buffer>;
}

/** How a memory is dumped. */
export interface DumpOptions {
  /** Makes an incremental dump on top of this memory, with a `parent` link that leads nowhere. */
  readonly on?: Memory | undefined;
  readonly preDump?: boolean | undefined;
  /** Further fields of the inventory. */
  readonly inventory?: Readonly<Record<string, unknown>> | undefined;
  /** What the `parent` link of an incremental dump says. */
  readonly parent?: string | undefined;
}

/** A page of bytes that do not compress, from a seed. */
export function randomPage(seed: number): Buffer {
  const random = randomNumbers(seed);
  const page = Buffer.alloc(4096);
  for (let i = 0; i < 4096; i += 4) page.writeUInt32LE(Math.floor(random() * 2 ** 32), i);
  return page;
}

/** `count` pages from `start` on; the content of each follows from the seed and its number. */
export function randomPages(start: number, count: number, seed: number): Map<number, Buffer> {
  return new Map(
    Array.from({ length: count }, (_, i) => [start + i, randomPage(seed * 100_003 + i)]),
  );
}

/** The page with some of its bytes replaced. */
export function withBytes(page: Buffer, at: number, bytes: Uint8Array): Buffer {
  const changed = Buffer.from(page);
  changed.set(bytes.subarray(0, 4096 - at), at);
  return changed;
}

/** Dumps a memory into a new directory; returns its path. */
export function writeDump(path: string, memory: Memory, options: DumpOptions = {}): string {
  const { on, preDump = false } = options;
  mkdirSync(path, { recursive: true });
  const inventory = { img_version: preDump ? 0 : 2, fdinfo_per_id: true, ...options.inventory };
  writeFileSync(join(path, 'inventory.img'), madeInventory(inventory));
  for (const [i, name] of [...memory.spaces.keys()].sort().entries()) {
    const pages = memory.spaces.get(name) ?? new Map<number, Buffer>();
    writeSpace(path, { name, pagesId: i + 1, pages, known: on?.spaces.get(name) });
  }
  for (const [name, bytes] of memory.files) writeFileSync(join(path, name), bytes);
  if (on !== undefined) symlinkSync(options.parent ?? '../gone', join(path, 'parent'));
  return path;
}

function writeSpace(
  path: string,
  space: { name: string; pagesId: number; pages: MadePages; known: MadePages | undefined },
): void {
  const { name, pagesId, pages, known } = space;
  const runs: { start: number; count: number; flags: number }[] = [];
  const kept: Buffer[] = [];
  for (const address of [...pages.keys()].sort((a, b) => a - b)) {
    const page = pages.get(address) as Buffer;
    const flags = known?.get(address)?.equals(page) === true ? PE_PARENT : PE_PRESENT;
    if (flags === PE_PRESENT) kept.push(page);
    const last = runs.at(-1);
    if (last?.flags === flags && last.start + last.count === address) last.count += 1;
    else runs.push({ start: address, count: 1, flags });
  }
  writeFileSync(join(path, `${name}.img`), encodePagemap(madePagemap(pagesId, runs)));
  writeFileSync(join(path, `pages-${pagesId}.img`), Buffer.concat(kept));
}

/**
 * Fails unless a restored directory holds what a full dump holds: the same names and bytes, but
 * for pagemaps, whose entries may be cut elsewhere, and the same page at every address.
 */
export function expectSameContent(restored: string, full: string): void {
  const [actual, expected] = [openImageDirectory(restored), openImageDirectory(full)];
  expect(actual.chainDepth).toBe(0);
  const bytesOf = (directory: typeof actual) =>
    [...filesOf(directory)].map(([name, bytes]): [string, string] => [
      name,
      name.startsWith('pagemap-') ? 'pagemap' : hash('sha256', bytes),
    ]);
  expect(new Map(bytesOf(actual))).toEqual(new Map(bytesOf(expected)));
  expect(memoryOf(actual)).toEqual(memoryOf(expected));
}
