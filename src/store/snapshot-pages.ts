/**
 * Where every page of a snapshot is: its manifest and those that it differs from are read, and
 * their recipes put together to runs of slots, with nothing left to look up.
 *
 * A generator, because a large snapshot has a million runs: it yields every few thousand, for the
 * thread to breathe. Memory: 16 bytes a run.
 */
import { idToText } from '../bytes/id.ts';
import { pagesOf } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import { Alignment } from '../manifest/alignment.ts';
import type { Content, EntryRole, Manifest, RecipeBase } from '../manifest/manifest.ts';
import {
  LOST_SEGMENT,
  PageRunsBuilder,
  PageRunsCursor,
  ZERO_SEGMENT,
  type PageRuns,
} from '../manifest/page-runs.ts';
import { RecipeCursor, RUN } from '../manifest/recipe.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { readManifest } from './read-manifest.ts';

/** A file of a snapshot, and where its pages are. */
export interface StoredFile {
  readonly name: Uint8Array;
  readonly mode: number;
  /** Index of its entry in the manifest. */
  readonly entry: number;
  readonly content: Content;
  /** Undefined for the image directory's. */
  readonly role: EntryRole | undefined;
  readonly pageCount: number;
  readonly runs: PageRuns;
  /** Pages of the files before it: where its digests are in the head. */
  readonly headPage: number;
}

/** A snapshot, ready to be read. */
export interface StoredSnapshot {
  readonly row: SnapshotRow;
  readonly manifest: Manifest;
  /** The snapshots whose manifests it takes to read this one, itself first. */
  readonly chain: readonly SnapshotRow[];
  /** In the order of the manifest, without directories. */
  readonly files: readonly StoredFile[];
}

/** Runs of a recipe that are put together in one go. */
const RUNS_IN_ONE_GO = 512;

/**
 * Finds all pages of a snapshot.
 *
 * @param fresh whether manifests are read even if it is remembered what they say.
 * @throws StoreError CORRUPT.
 */
export async function findPages(
  context: StoreContext,
  row: SnapshotRow,
  pacer: Pacer,
  fresh = false,
): Promise<StoredSnapshot> {
  return await paced(pagesOfSnapshot(context, row, { fresh, lostNumber: undefined }), pacer);
}

/**
 * The same for a snapshot of which pages may be lost: those of segments that no pack holds are in
 * LOST_SEGMENT, or as the caller numbers them. Manifests are read, whatever is remembered.
 *
 * @throws StoreError CORRUPT when a manifest is lost.
 */
export async function findPagesLeft(
  context: StoreContext,
  row: SnapshotRow,
  pacer: Pacer,
  lostNumber: (identity: Uint8Array) => number = () => LOST_SEGMENT,
): Promise<StoredSnapshot> {
  return await paced(pagesOfSnapshot(context, row, { fresh: true, lostNumber }), pacer);
}

async function paced(
  steps: Generator<undefined, StoredSnapshot>,
  pacer: Pacer,
): Promise<StoredSnapshot> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pacer.pause();
  }
}

/** How manifests are read. */
interface Reading {
  /** Whether they are read even if it is remembered what they say. */
  readonly fresh: boolean;
  /** Numbers of segments that no pack holds; undefined where they may not be referred to. */
  readonly lostNumber: ((identity: Uint8Array) => number) | undefined;
}

/** The same for whoever cannot wait. */
export function findPagesNow(context: StoreContext, row: SnapshotRow): StoredSnapshot {
  const steps = pagesOfSnapshot(context, row, { fresh: false, lostNumber: undefined });
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function* pagesOfSnapshot(
  context: StoreContext,
  row: SnapshotRow,
  reading: Reading,
): Generator<undefined, StoredSnapshot> {
  context.segments.refresh();
  const { epoch } = context.pagesCache;
  const known = reading.fresh ? undefined : context.pagesCache.get(row);
  if (known !== undefined) return known;
  const stack = yield* readStack(context, row, reading);
  const [top] = stack.levels as [Level];
  const files: StoredFile[] = [];
  let headPage = 0;
  for (const [entry, { name, mode, content, role }] of top.manifest.entries.entries()) {
    if (content === undefined) continue;
    const pageCount = pagesOf(content.sizeBytes);
    const runs = yield* runsOf(stack, 0, entry);
    // Only here: a segment of which nothing is used may be gone.
    if (reading.lostNumber === undefined && runs.segment.includes(LOST_SEGMENT)) {
      const message = 'a recipe refers to a segment that the catalog lacks';
      const file = context.layout.packFile(row.packName);
      throw new StoreError('CORRUPT', message, { file, snapshot: row.id });
    }
    files.push({ name, mode, entry, content, role, pageCount, runs, headPage });
    headPage += pageCount;
  }
  const rows = stack.levels.map((level) => level.row);
  const chain = [...rows, ...(stack.below?.chain ?? [])];
  const snapshot = { row, manifest: top.manifest, chain, files };
  if (reading.lostNumber === undefined) context.pagesCache.put(snapshot, epoch);
  return snapshot;
}

/** A manifest, and what its numbers of segments mean. */
interface Level {
  readonly manifest: Manifest;
  readonly file: string;
  readonly row: SnapshotRow;
  readonly numbers: readonly number[];
}

/** Manifests that differ from one another, the newest first, down to one that is known. */
interface Stack {
  readonly levels: readonly Level[];
  /** What the last of them differs from; undefined when that one is whole. */
  readonly below: StoredSnapshot | undefined;
}

/** The manifest of a snapshot, then the one it differs from, and so on. */
function* readStack(
  context: StoreContext,
  row: SnapshotRow,
  { fresh, lostNumber }: Reading,
): Generator<undefined, Stack> {
  let manifest = readManifest(context, row);
  const levels = [levelOf(context, row, manifest, lostNumber)];
  let above = row;
  // Depths only go down: the chain ends, whatever a damaged manifest says.
  for (let depth = manifest.base?.depth ?? 0; depth > 0; depth = manifest.base?.depth ?? 0) {
    const base = baseRow(context, above, manifest.base as RecipeBase);
    const below = fresh ? undefined : context.pagesCache.get(base);
    if (below !== undefined) return { levels, below };
    yield;
    manifest = readManifest(context, base);
    if ((manifest.base?.depth ?? 0) >= depth) throw wrongBase(levels.at(-1) as Level);
    levels.push(levelOf(context, base, manifest, lostNumber));
    above = base;
  }
  return { levels, below: undefined };
}

function levelOf(
  context: StoreContext,
  row: SnapshotRow,
  manifest: Manifest,
  lostNumber: Reading['lostNumber'],
): Level {
  const found = context.segments.findAll(manifest.segments);
  const numbers = manifest.segments.map(
    (identity, i) => found[i] || (lostNumber?.(identity) ?? LOST_SEGMENT),
  );
  const file = context.layout.packFile(row.packName);
  return { manifest, file, row, numbers };
}

function baseRow(context: StoreContext, row: SnapshotRow, base: RecipeBase): SnapshotRow {
  const id = idToText(base.id);
  const found = context.catalog.snapshots.byId(id);
  if (found !== undefined) return found;
  const file = context.layout.packFile(row.packName);
  const message = `the snapshot ${id}, from which this one differs, is missing`;
  throw new StoreError('CORRUPT', message, { snapshot: row.id, file });
}

function* runsOf(stack: Stack, depth: number, entry: number): Generator<undefined, PageRuns> {
  const level = stack.levels[depth];
  if (level === undefined) return knownRuns(stack, entry);
  const content = level.manifest.entries[entry]?.content;
  if (content === undefined) throw wrongBase(level);
  const base = content.baseEntry;
  const baseRuns = base === undefined ? undefined : yield* runsOf(stack, depth + 1, base);
  const same = baseRuns && sameAsBase(stack, depth, { entry, base: base as number, baseRuns });
  const pageCount = pagesOf(content.sizeBytes);
  const cursor = new RecipeCursor(content.recipe, pageCount, level.numbers.length, level.file);
  const runs = new PageRunsBuilder();
  for (let count = 1; cursor.next(); count++) {
    if (cursor.kind === RUN.zero) runs.add(ZERO_SEGMENT, 0, cursor.pages);
    else if (cursor.kind === RUN.slots) {
      runs.add(level.numbers[cursor.segment] as number, cursor.slot, cursor.pages);
    } else if (same === undefined || !same(runs, cursor.pages)) throw wrongBase(level);
    if (count % RUNS_IN_ONE_GO === 0) yield;
  }
  return runs.finish();
}

function knownRuns({ levels, below }: Stack, entry: number): PageRuns {
  const file = below?.files.find((other) => other.entry === entry);
  if (file === undefined) throw wrongBase(levels.at(-1) as Level);
  return file.runs;
}

/** Appends the next pages as they are in the base; false when the base does not have them. */
type CopySame = (runs: PageRunsBuilder, pages: number) => boolean;

function sameAsBase(
  { levels, below }: Stack,
  depth: number,
  { entry, base, baseRuns }: { entry: number; base: number; baseRuns: PageRuns },
): CopySame {
  const { manifest } = levels[depth] as Level;
  const baseManifest = (levels[depth + 1] ?? below)?.manifest as Manifest;
  const alignment = new Alignment(alignedFile(manifest, entry), alignedFile(baseManifest, base));
  const cursor = new PageRunsCursor(baseRuns);
  return (runs, pages) => {
    for (const end = runs.pages + pages; runs.pages < end;) {
      const page = alignment.find(runs.pages);
      if (page < 0 || !cursor.seek(page)) return false;
      const count = Math.min(end - runs.pages, alignment.pagesLeft, cursor.pagesLeft);
      runs.add(cursor.segment, cursor.slot, count);
    }
    return true;
  };
}

/** A file of a manifest, as far as alignment goes. */
export function alignedFile(
  manifest: Manifest,
  entry: number,
): { pageCount: number; addresses: Content['addresses'] } {
  const content = manifest.entries[entry]?.content as Content;
  return { pageCount: pagesOf(content.sizeBytes), addresses: content.addresses };
}

function wrongBase({ file, row }: Level): StoreError {
  const message = 'a recipe refers to pages that its base does not have';
  return new StoreError('CORRUPT', message, { file, snapshot: row.id });
}
