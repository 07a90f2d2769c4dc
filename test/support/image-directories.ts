/**
 * Makes image directories for tests: from a list of runs, or as an incremental dump between two
 * full ones, the way CRIU writes them. The content of a made page follows from a seed.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import {
  decodePagemap,
  encodeMessage,
  encodePagemap,
  encodePagemapHead,
  type ImagePiece,
  type ImageType,
  joinImage,
  type MessageType,
  type PageBytes,
  type Pagemap,
  type PagemapGeneration,
  PE_PARENT,
  PE_PRESENT,
  TYPE_MAGICS,
} from '../../src/criu/index.ts';
import {
  type ContentReader,
  type ImageDirectory,
  type ImageEntry,
  openContent,
  openImageDirectory,
  type ParentSnapshot,
  parentSpace,
  type ParentSpace,
} from '../../src/images/index.ts';

/** Pages of a made space. */
export interface MadeRun {
  /** Address / 4096. */
  readonly start: number;
  /** Pages of the dump's page size. */
  readonly count: number;
  /** PE_ flags; present by default. */
  readonly flags?: number;
  /** Decides the content; the address by default. */
  readonly seed?: number;
}

/** A pagemap with its pages file. */
export interface MadeSpace {
  /** `pagemap-7` */
  readonly name: string;
  readonly pagesId: number;
  readonly runs: readonly MadeRun[];
}

/** What to make. */
export interface MadeDirectory {
  readonly spaces?: readonly MadeSpace[];
  readonly pageBytes?: PageBytes;
  readonly generation?: PagemapGeneration;
  /** 2 by default; 0 makes a pre-dump. */
  readonly imageVersion?: number;
  /** Target of the `parent` link. */
  readonly parent?: string;
  /** CRIU's id of the dump; none by default. */
  readonly runId?: string;
  /** Uptime at the dump; none by default. */
  readonly uptimeUs?: bigint;
}

/** Makes an image directory at `path`, which must be new or empty, and returns `path`. */
export function makeImageDirectory(path: string, made: MadeDirectory): string {
  const { spaces = [], pageBytes = 4096, generation = 'count-in-field-5' } = made;
  mkdirSync(path, { recursive: true });
  const inventory = {
    img_version: made.imageVersion ?? 2,
    fdinfo_per_id: true,
    ...(made.uptimeUs === undefined ? {} : { dump_uptime: made.uptimeUs }),
    ...(made.runId === undefined ? {} : { dump_criu_run_id: Buffer.from(made.runId) }),
  };
  writeFileSync(join(path, 'inventory.img'), madeInventory(inventory));
  for (const { name, pagesId, runs } of spaces) {
    writeFileSync(join(path, `${name}.img`), encodePagemap(madePagemap(pagesId, runs, generation)));
    writeFileSync(join(path, `pages-${pagesId}.img`), madePages(runs, pageBytes));
  }
  if (made.parent !== undefined) symlinkSync(made.parent, join(path, 'parent'));
  return path;
}

/** The bytes of an inventory image. */
export function madeInventory(inventory: Readonly<Record<string, unknown>>): Uint8Array {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, TYPE_MAGICS.INVENTORY, true);
  return joinImage({ header, pieces: [messagePiece('inventory_entry', inventory)] });
}

/** The bytes of an image of any type but the inventory. */
export function madeImage(type: ImageType, pieces: readonly ImagePiece[]): Uint8Array {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x54564319, true);
  view.setUint32(4, TYPE_MAGICS[type], true);
  return joinImage({ header, pieces });
}

/** A message as a piece of an image. */
export function messagePiece(
  type: MessageType,
  message: Readonly<Record<string, unknown>>,
): ImagePiece {
  return { kind: 'message', type, offset: 0, bytes: encodeMessage(type, message) };
}

/** Raw bytes as a piece of an image. */
export function payloadPiece(bytes: Uint8Array): ImagePiece {
  return { kind: 'payload', type: undefined, offset: 0, bytes };
}

/** A pagemap of these runs. */
export function madePagemap(
  pagesId: number,
  runs: readonly MadeRun[],
  generation: PagemapGeneration = 'count-in-field-5',
): Pagemap {
  return {
    generation,
    head: encodePagemapHead(pagesId),
    pagesId,
    starts: Float64Array.from(runs, (run) => run.start),
    counts: Float64Array.from(runs, (run) => run.count),
    flags: Uint8Array.from(runs, (run) => run.flags ?? PE_PRESENT),
  };
}

function madePages(runs: readonly MadeRun[], pageBytes: PageBytes): Uint8Array {
  const pages: Uint8Array[] = [];
  for (const { start, count, flags = PE_PRESENT, seed = 0 } of runs) {
    if ((flags & PE_PRESENT) === 0) continue;
    const step = pageBytes / 4096;
    for (let i = 0; i < count * step; i++) pages.push(madePage(start + i, seed));
  }
  return Buffer.concat(pages);
}

/** The content of 4096 bytes at an address / 4096; seeds give different ones. */
export function madePage(start: number, seed = 0): Uint8Array {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  for (let i = 0; i < 4096; i += 16) {
    view.setFloat64(i, start, true);
    view.setUint32(i + 8, seed, true);
    view.setUint32(i + 12, i, true);
  }
  return page;
}

/**
 * Writes the dump in `fullDirectory` as one on top of `previousDirectory`: pages that are equal
 * there become PE_PARENT, a relative `parent` link is added, all else is copied. Returns
 * `targetDirectory`, which must be new or empty and a sibling or so of the previous one.
 */
export function makeIncrementalDump(
  previousDirectory: string,
  fullDirectory: string,
  targetDirectory: string,
): string {
  mkdirSync(targetDirectory, { recursive: true });
  const previous = pagesByAddress(openImageDirectory(previousDirectory));
  const full = openImageDirectory(fullDirectory);
  const pagemaps = new Set(full.spaces.map((space) => `${space.name}.img`));
  for (const entry of full.entries) {
    const name = textOf(entry.name);
    if (entry.kind === 'directory') mkdirSync(join(targetDirectory, name));
    else if (entry.space !== undefined) {
      const known = previous.get(entry.space.name) ?? new Map<number, Uint8Array>();
      writeIncrement(known, { full, entry, targetDirectory });
    } else if (!pagemaps.has(name)) {
      writeFileSync(join(targetDirectory, name), readEntry(entry), { mode: entry.mode });
    }
  }
  symlinkSync(relative(targetDirectory, previousDirectory), join(targetDirectory, 'parent'));
  return targetDirectory;
}

function writeIncrement(
  known: ReadonlyMap<number, Uint8Array>,
  to: { full: ImageDirectory; entry: ImageEntry; targetDirectory: string },
): void {
  const { full, entry, targetDirectory } = to;
  const name = `${entry.space?.name ?? ''}.img`;
  const pagemap = decodePagemap(readEntry(entryNamed(full, name)), { pageBytes: full.pageBytes });
  const pages = readEntry(entry);
  const step = full.pageBytes / 4096;
  const runs: { start: number; count: number; flags: number }[] = [];
  const kept: Uint8Array[] = [];
  let offset = 0;
  pagemap.starts.forEach((first, index) => {
    const ownFlags = pagemap.flags[index] ?? PE_PRESENT;
    for (let i = 0; i < (pagemap.counts[index] ?? 0); i++) {
      const start = first + i * step;
      const page = pages.subarray(offset, (offset += full.pageBytes));
      const flags = isKnown(known, start, page) ? PE_PARENT : ownFlags;
      if (flags !== PE_PARENT) kept.push(page);
      const last = runs.at(-1);
      if (i > 0 && last?.flags === flags) last.count++;
      else runs.push({ start, count: 1, flags });
    }
  });
  const increment = { ...madePagemap(pagemap.pagesId, runs, pagemap.generation) };
  writeFileSync(join(targetDirectory, name), encodePagemap({ ...increment, head: pagemap.head }));
  writeFileSync(join(targetDirectory, textOf(entry.name)), Buffer.concat(kept));
}

function isKnown(known: ReadonlyMap<number, Uint8Array>, start: number, page: Uint8Array): boolean {
  for (let i = 0; i < page.length; i += 4096) {
    const old = known.get(start + i / 4096);
    if (old === undefined || Buffer.compare(old, page.subarray(i, i + 4096)) !== 0) return false;
  }
  return true;
}

/** Every 4096 bytes of every space of a directory, by space name and address / 4096. */
export function pagesByAddress(directory: ImageDirectory): Map<string, Map<number, Uint8Array>> {
  const spaces = new Map<string, Map<number, Uint8Array>>();
  for (const entry of directory.entries) {
    if (entry.space === undefined) continue;
    const { name, runStart, runLength } = entry.space;
    const bytes = readEntry(entry);
    const pages = new Map<number, Uint8Array>();
    let offset = 0;
    runStart.forEach((start, run) => {
      for (let i = 0; i < (runLength[run] ?? 0); i++) {
        pages.set(start + i, bytes.subarray(offset, (offset += 4096)));
      }
    });
    spaces.set(name, pages);
  }
  return spaces;
}

/** The memory of a directory in a form that is quick to compare: a digest for every address. */
export function memoryOf(directory: ImageDirectory): Record<string, string[]> {
  const spaces = [...pagesByAddress(directory)].map(([name, pages]) => [
    name,
    Array.from(pages, ([start, page]) => `${start} ${hash('sha256', page)}`),
  ]);
  return Object.fromEntries(spaces) as Record<string, string[]>;
}

/** The entry with this name. */
export function entryNamed(directory: ImageDirectory, name: string): ImageEntry {
  const entry = directory.entries.find((candidate) => textOf(candidate.name) === name);
  if (entry === undefined) throw new Error(`${directory.path} has no ${name}`);
  return entry;
}

/** Opens an entry that is a file. */
export function openEntry(entry: ImageEntry | undefined): ContentReader {
  if (entry?.source === undefined) throw new Error('no such file');
  return openContent(entry.source);
}

/** The whole content of an entry, read in slices. */
export function readEntry(entry: ImageEntry, sliceBytes = 1_048_576): Uint8Array {
  const bytes = new Uint8Array(entry.sizeBytes);
  const reader = openEntry(entry);
  for (let position = 0; position < bytes.length; position += sliceBytes) {
    reader.read(bytes.subarray(position, position + sliceBytes), position);
  }
  reader.close();
  return bytes;
}

/** The content of all files of a directory as it is on disk, by name, without links. */
export function filesOf(directory: ImageDirectory): Map<string, Uint8Array> {
  const names = directory.entries.filter((entry) => entry.kind === 'file');
  return new Map(
    names.map(({ name }) => [textOf(name), readFileSync(join(directory.path, textOf(name)))]),
  );
}

/** A name as text. */
export function textOf(name: Uint8Array): string {
  return new TextDecoder().decode(name);
}

/** What a store would know of a directory that it captured, for the next dump on top of it. */
export function parentOf(directory: ImageDirectory): ParentSnapshot {
  const { criuRunId, dumpUptimeUs, pageBytes } = directory;
  const spaces = directory.spaces.map(({ name }): [string, ParentSpace] => {
    const pagemap = decodePagemap(readEntry(entryNamed(directory, `${name}.img`)), { pageBytes });
    return [name, parentSpace(pagemap, pageBytes)];
  });
  return { criuRunId, dumpUptimeUs, pageBytes, spaces: new Map(spaces) };
}

/** The flat files of a directory, with inherited pages from the flat files of its parent. */
export function flatFilesOf(
  directory: ImageDirectory,
  parent: ReadonlyMap<string, Uint8Array> = new Map<string, Uint8Array>(),
): Map<string, Uint8Array> {
  const flat = new Map<string, Uint8Array>();
  for (const entry of directory.entries) {
    if (entry.kind === 'directory') continue;
    const bytes = entry.inherited === undefined ? readEntry(entry) : readAround(entry, parent);
    flat.set(textOf(entry.name), bytes);
    // The pages of a space have the same name in all dumps, their file has not.
    if (entry.space !== undefined) flat.set(`pages of ${entry.space.name}`, bytes);
  }
  return flat;
}

/** Reads what is not inherited, and takes what is from the parent. */
function readAround(entry: ImageEntry, parent: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const bytes = new Uint8Array(entry.sizeBytes);
  const pagesOfParent = parent.get(`pages of ${entry.space?.name ?? ''}`);
  const { start, length, parentPage } = entry.inherited ?? noPages;
  const reader = openEntry(entry);
  let done = 0;
  for (let run = 0; run <= start.length; run++) {
    const begin = run === start.length ? bytes.length : (start[run] ?? 0) * 4096;
    reader.read(bytes.subarray(done, begin), done);
    const from = (parentPage[run] ?? 0) * 4096;
    const count = (length[run] ?? 0) * 4096;
    if (count > 0) bytes.set(pagesOfParent?.subarray(from, from + count) ?? [], begin);
    done = begin + count;
  }
  reader.close();
  return bytes;
}

const noPages = { start: [], length: [], parentPage: [] };
