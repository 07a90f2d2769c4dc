/**
 * Verify: reads what the store promises and reports everything that is not so, as a list; it never
 * changes anything and stops at no damage.
 *
 * - `quick` the catalog, and of each pack the size, footer, frame tables, digests and manifests
 * - `packs` also every frame: each page against its digest, and the pack's name against its bytes
 * - `snapshots` also every page of every snapshot through its recipe, against its leaves
 */
import { join } from 'node:path';
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { PackRow, SnapshotRow } from '../catalog/rows.ts';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import type { Crew } from '../slices/threads.ts';
import { checkTree } from './check-tree.ts';
import { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { readManifest } from './read-manifest.ts';
import { readRequests, runRead } from './read-requests.ts';
import { findPages } from './snapshot-pages.ts';
import { TaskWindow } from './task-window.ts';

/** How much is read. */
export type VerifyLevel = 'quick' | 'packs' | 'snapshots';

/** What verify takes. */
export interface VerifyOptions extends OperationOptions {
  /** `snapshots`, unless given. */
  readonly level?: VerifyLevel | undefined;
}

/** Something that is not as it was written. */
export interface VerifyProblem {
  readonly code: StoreErrorCode;
  readonly message: string;
  readonly file: string | undefined;
  readonly offset: number | undefined;
  /** Id of the snapshot that is damaged by it, where one was being read. */
  readonly snapshot: string | undefined;
}

/** What was read, and what was wrong. */
export interface VerifyReport {
  readonly level: VerifyLevel;
  readonly packs: number;
  readonly snapshots: number;
  /** Packs that the catalog does not know: of a capture cut off, or of a catalog that was lost. */
  readonly unknownPacks: readonly string[];
  /** Empty when all is well. */
  readonly problems: readonly VerifyProblem[];
}

const LEVELS: readonly VerifyLevel[] = ['quick', 'packs', 'snapshots'];

/** Checks the whole store. */
export async function verify(
  context: StoreContext,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const level = options.level ?? 'snapshots';
  if (!LEVELS.includes(level)) throw new RangeError(`level is one of ${LEVELS.join(', ')}`);
  const problems: VerifyProblem[] = [];
  const pacer = new Pacer(options.signal);
  const damage = collect(problems, undefined, () => context.catalog.check()) ?? [];
  problems.push(...damage.map((error) => problemOf(error, undefined)));
  const packs = collect(problems, undefined, () => context.catalog.packs()) ?? [];
  const rows = collect(problems, undefined, () => context.catalog.snapshots.all()) ?? [];
  for (const [i, pack] of packs.entries()) {
    for (const step of packSteps(context, pack, level)) {
      collect(problems, undefined, step);
      await pacer.pause();
    }
    options.onProgress?.({ phase: 'packs', done: i + 1, total: packs.length });
  }
  await withCrew(context, { fresh: true }, async (crew) => {
    for (const [i, row] of rows.entries()) {
      await verifySnapshot(context, row, { level, problems, crew, pacer });
      options.onProgress?.({ phase: 'snapshots', done: i + 1, total: rows.length });
    }
  });
  const unknownPacks = findUnknownPacks(context);
  return { level, packs: packs.length, snapshots: rows.length, unknownPacks, problems };
}

/** Not damage: nothing that was promised is in them, or a repair will bring it back. */
function findUnknownPacks(context: StoreContext): string[] {
  const { files, layout } = context;
  const paths = files
    .list(layout.packs)
    .map((name) => join(layout.packs, name.toString()))
    .flatMap((parent) => files.list(parent).map((name) => join(parent, name.toString())));
  // After the files: a capture may commit meanwhile.
  const known = new Set(context.catalog.packs().map(({ name }) => layout.packFile(name)));
  return paths.filter((path) => !known.has(path));
}

/** Runs one check; damage goes on the list, anything else is the caller's. */
function collect<T>(
  problems: VerifyProblem[],
  snapshot: string | undefined,
  check: () => T,
): T | undefined {
  try {
    return check();
  } catch (error) {
    addProblem(problems, snapshot, error);
    return undefined;
  }
}

/** The same for a check that takes its time. */
async function collectLater<T>(
  problems: VerifyProblem[],
  snapshot: string | undefined,
  check: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await check();
  } catch (error) {
    addProblem(problems, snapshot, error);
    return undefined;
  }
}

function addProblem(problems: VerifyProblem[], snapshot: string | undefined, error: unknown): void {
  // What names no file is not about the store: a worker that stopped, for one.
  if (!(error instanceof StoreError) || error.file === undefined) throw error;
  const problem = problemOf(error, snapshot);
  // Many files of a snapshot may need the same lost frame: once is enough.
  const isSame = (other: VerifyProblem) =>
    other.message === problem.message && other.snapshot === problem.snapshot;
  if (!problems.some(isSame)) problems.push(problem);
}

function problemOf(error: StoreError, snapshot: string | undefined): VerifyProblem {
  const { code, message, file, offset } = error;
  return { code, message, file, offset, snapshot: error.snapshot ?? snapshot };
}

/** The checks of one pack, each small enough to be made in one go. */
function* packSteps(
  context: StoreContext,
  row: PackRow,
  level: VerifyLevel,
): Generator<() => void> {
  let pack: PackReader | undefined;
  yield () => {
    // Afresh: the footer in memory says nothing about the disk.
    context.packs.forget(row.name);
    const opened = context.packs.reader(row.name);
    if (opened.sizeBytes !== row.sizeBytes) {
      throw opened.corrupt(`${opened.sizeBytes} bytes long, ${row.sizeBytes} expected`);
    }
    opened.checkDigests();
    pack = opened;
  };
  if (pack === undefined) return;
  const reader: PackReader = pack;
  if (level !== 'quick') {
    yield () => {
      if (reader.computeName() !== row.name) throw reader.corrupt('its SHA-256 is not its name');
    };
  }
  const buffer = Buffer.alloc(FRAME_PAGES * PAGE_BYTES);
  for (const segment of reader.footer.references.keys()) {
    let tables: FrameTable[] = [];
    yield () => {
      tables = reader.frameTables(segment);
    };
    if (level === 'quick') continue;
    for (const table of tables) {
      for (let index = 0; index < table.length; index++) {
        yield () => checkFrame(reader, table, index, buffer);
      }
    }
  }
}

function checkFrame(pack: PackReader, table: FrameTable, index: number, buffer: Buffer): void {
  // Delta pages have no digests of their own: their bytes are checked here, their pages by leaves.
  if (table.isDelta(index)) return void pack.readDeltaFrame(table, index);
  pack.readFrame(table, index, buffer);
  const expected = pack.frameDigests(table, index);
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (const [rank, slot] of table.slotsAt(index).entries()) {
    const start = rank * PAGE_BYTES;
    sha256Into(buffer.subarray(start, start + table.pageBytes(slot)), digest, 0);
    if (digest.compare(expected, rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES) === 0) continue;
    pack.reportLost(table, index);
    throw pack.corrupt(`page in slot ${slot} is not its digest's`, table.entryAt(index).offset);
  }
}

async function verifySnapshot(
  context: StoreContext,
  row: SnapshotRow,
  check: {
    readonly level: VerifyLevel;
    readonly problems: VerifyProblem[];
    readonly crew: Crew;
    readonly pacer: Pacer;
  },
): Promise<void> {
  const { level, problems, crew, pacer } = check;
  const manifest = collect(problems, row.id, () => readManifest(context, row));
  if (manifest === undefined || level !== 'snapshots') return;
  const found = await collectLater(problems, row.id, () => findPages(context, row, pacer, true));
  if (found === undefined) return;
  const tasks = new TaskWindow(2 * crew.width);
  for (const file of found.files) {
    for (const request of readRequests(row.id, file, undefined)) {
      await pacer.pause();
      await tasks.add(collectLater(problems, row.id, () => runRead(crew, request)));
    }
  }
  await tasks.end();
  await collectLater(problems, row.id, () => checkTree(context, found, pacer));
}
