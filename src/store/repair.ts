/**
 * Repair: makes a store usable again, whatever was done to its catalog, as far as its packs go.
 * First everything is read and planned (repair-plan.ts), then it is done, in an order in which a
 * crash at any point leaves the old store, the new one, or one that can be repaired again:
 *
 * 1. packs under wrong names are renamed; packs that the new catalog needs, written in staging, go
 *    to their places in packs/
 * 2. the new catalog, written and tried out in staging, takes the place of the old one
 * 3. packs that nothing can be read of go to damaged/
 * 4. damaged runs of the index, and caches, are removed: they are built again
 *
 * It is alone: it holds leases/repair.lock, which everybody looks at who opens the store, and it
 * fails while any other lease is held.
 */
import { basename, resolve } from 'node:path';
import { loadZstd } from '../bytes/zstd.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { Lease } from '../catalog/lease.ts';
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import { readAgain } from '../files/read-again.ts';
import { exists, moveDurably } from '../files/transfer.ts';
import { PageIndex } from '../index/page-index.ts';
import { PackSet } from '../pack/pack-set.ts';
import { newName, Pacer } from './clock.ts';
import type { OperationOptions } from './context.ts';
import { createFormat, readFormat } from './format-file.ts';
import { StoreLayout } from './layout.ts';
import { isHeadName } from './heads.ts';
import { findDirectory } from './open-store.ts';
import { DamagedDirectory, dropWaitingName, replaceCatalog } from './repair-catalog.ts';
import { dropSecondNames, renamePacks } from './repair-names.ts';
import { isComplete } from './repair-evaluate.ts';
import { lockStore } from './repair-lock.ts';
import {
  planRepair,
  type LostFrameRow,
  type RepairPlan,
  type RepairWork,
  type StoreIdentity,
} from './repair-plan.ts';
import type { UnreadablePack } from './repair-scan.ts';
import { reportOf, type RepairReport } from './repair-report.ts';
import { StagedPacks } from './repair-staged.ts';
import { clearDeadStaging, StagingArea } from './staging.ts';

/** What a repair takes. */
export interface RepairOptions extends OperationOptions {
  /** Only says what it would do; works beside whoever has the store open. */
  readonly dryRun?: boolean | undefined;
  /** With `packs`, every frame of every pack is read; `quick` (default) believes their tables. */
  readonly level?: 'quick' | 'packs' | undefined;
  /** @internal The file system; another one than Node's is for tests. */
  readonly files?: Files | undefined;
}

const LEVELS: readonly unknown[] = ['quick', 'packs', undefined];
const INDEX_CACHE_BYTES = 1024 * 1024;

/** Repairs the store in a directory, which nobody may have open. */
export async function repairStore(
  directory: string,
  options: RepairOptions,
): Promise<RepairReport> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError('the directory of a store is a path');
  }
  if (!LEVELS.includes(options.level)) throw new RangeError(`level is one of quick, packs`);
  const { signal, dryRun = false } = options;
  const files = readAgain(options.files ?? nodeFiles);
  const path = resolve(directory);
  try {
    signal?.throwIfAborted();
    const layout = new StoreLayout(findDirectory(files, path));
    checkIsStore(files, layout);
    return await (dryRun ? planOnly(files, layout, options) : repair(files, layout, options));
  } catch (error) {
    if (signal?.aborted === true && !(error instanceof StoreError)) {
      throw new StoreError('ABORTED', 'the operation was stopped', { cause: error });
    }
    if (systemCode(error) === undefined) throw error;
    throw storageError('repair the store', path, error);
  }
}

function checkIsStore(files: Files, layout: StoreLayout): void {
  const signs = [layout.formatFile, layout.catalogFile, layout.packs];
  if (signs.some((path) => exists(files, path))) return;
  throw new StoreError('NOT_FOUND', 'no store there', { file: layout.directory });
}

async function planOnly(
  files: Files,
  layout: StoreLayout,
  options: RepairOptions,
): Promise<RepairReport> {
  const directory = files.makeTemporaryDirectory('criu-timeline-');
  let count = 0;
  const newPath = (suffix: string) => `${directory}/${++count}${suffix}`;
  try {
    return await withWork(files, layout, { newPath, options }, async (work) => {
      const { storeId, isLost } = findStoreId(files, layout);
      const plan = await planRepair(work, storeId);
      return reportOf(plan, true, changesOf(plan, isLost));
    });
  } finally {
    files.removeTree(directory);
  }
}

async function withWork<T>(
  files: Files,
  layout: StoreLayout,
  { newPath, options }: Pick<RepairWork, 'newPath'> & { readonly options: RepairOptions },
  action: (work: RepairWork) => Promise<T>,
): Promise<T> {
  const zstd = await loadZstd();
  const staged = new StagedPacks(files, layout);
  const packs = new PackSet(staged.door, zstd, (name) => layout.packFile(name));
  const pacer = new Pacer(options.signal);
  const everyFrame = options.level === 'packs';
  const { onProgress } = options;
  try {
    const work = { files, layout, zstd, packs, staged, pacer, newPath, everyFrame, onProgress };
    return await action(work);
  } finally {
    packs.close();
  }
}

/** The id in format.json; a file that is lost is written anew. */
function findStoreId(
  files: Files,
  layout: StoreLayout,
): { readonly storeId: StoreIdentity; readonly isLost: boolean } {
  try {
    const storeId = readFormat(files, layout.formatFile)?.storeId;
    return { storeId, isLost: storeId === undefined };
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'CORRUPT')) throw error;
    return { storeId: undefined, isLost: true };
  }
}

async function repair(
  files: Files,
  layout: StoreLayout,
  options: RepairOptions,
): Promise<RepairReport> {
  for (const subdirectory of layout.subdirectories) {
    if (!exists(files, subdirectory)) files.mkdir(subdirectory, 0o700);
  }
  const staging = StagingArea.open(files, layout);
  let lock: Lease | undefined;
  try {
    lock = await lockStore(files, layout, staging, options.signal);
    clearDeadStaging(files, layout, staging.name);
    const newPath = (suffix: string) => staging.newPath(suffix);
    return await withWork(files, layout, { newPath, options }, async (work) => {
      const { storeId, isLost } = findStoreId(files, layout);
      const plan = await planRepair(work, storeId);
      await work.pacer.pause();
      await execute(work, plan, isLost);
      return reportOf(plan, false, changesOf(plan, isLost));
    });
  } finally {
    try {
      staging.close();
    } finally {
      lock?.release();
    }
  }
}

async function execute(work: RepairWork, plan: RepairPlan, formatIsLost: boolean): Promise<void> {
  const { files, layout } = work;
  const damaged = new DamagedDirectory(files, layout, newName());
  if (formatIsLost) replaceFormat(work, damaged, plan.findings.storeId);
  takeAway(
    work,
    damaged,
    plan.unreadable.filter(({ isInTheWay = false }) => isInTheWay),
  );
  dropSecondNames(files, plan.secondNames);
  renamePacks(work, plan.misnamed);
  for (const { name } of plan.findings.packs) work.staged.publish(name);
  if (plan.catalog === undefined) {
    await recordLost(plan, layout);
    dropWaitingName(files, layout);
  } else replaceCatalog(files, layout, plan.catalog, damaged);
  takeAway(
    work,
    damaged,
    plan.unreadable.filter(({ isInTheWay = false }) => !isInTheWay),
  );
  clearDerived(files, layout, plan);
}

function takeAway(
  { files, packs }: RepairWork,
  damaged: DamagedDirectory,
  unreadable: readonly UnreadablePack[],
): void {
  for (const { path } of unreadable) {
    packs.forget(basename(path, '.pack'));
    moveDurably(files, path, damaged.pathOf(basename(path)));
  }
}

/** Says in the catalog which frames are lost now, and which can be read again. */
async function recordLost(plan: RepairPlan, layout: StoreLayout): Promise<void> {
  const { found, mended } = lostChanges(plan);
  if (found.length === 0 && mended.length === 0) return;
  const { storeId } = plan.findings;
  const catalog = await Catalog.open(layout.catalogFile, storeId, { mayBeNew: false });
  try {
    await catalog.addLostFrames(found);
    await catalog.packRecords.removeLostFrames(mended);
  } finally {
    catalog.close();
  }
}

function lostChanges({ findings }: RepairPlan): Record<'found' | 'mended', LostFrameRow[]> {
  const keyOf = ({ pack, offset }: LostFrameRow) => `${pack} ${offset}`;
  const known = new Set(findings.salvage.lostFrames.map(keyOf));
  const lost = new Set(findings.lostFrames.map(keyOf));
  const here = new Set(findings.packs.map(({ name }) => name));
  const found = findings.lostFrames.filter((frame) => !known.has(keyOf(frame)));
  const mended = findings.salvage.lostFrames.filter(
    (frame) => here.has(frame.pack) && !lost.has(keyOf(frame)),
  );
  return { found, mended };
}

function replaceFormat(work: RepairWork, damaged: DamagedDirectory, storeId: Uint8Array): void {
  const { files, layout } = work;
  if (exists(files, layout.formatFile)) {
    files.rename(layout.formatFile, damaged.pathOf('format.json'));
    damaged.sync();
  }
  createFormat(files, layout, storeId, work.newPath('.json'));
}

/**
 * Takes away what is built again: damaged runs of the index, and caches of another past. Heads may
 * tell a later repair what is still lost.
 */
function clearDerived(files: Files, layout: StoreLayout, { catalog, snapshots }: RepairPlan): void {
  const index = new PageIndex(files, layout.index, INDEX_CACHE_BYTES);
  try {
    for (const path of index.refresh(() => undefined)) files.removeTree(path);
  } finally {
    index.close();
  }
  if (catalog === undefined) return;
  const isLost = [...snapshots.values()].some((finding) => !isComplete(finding));
  for (const name of files.list(layout.cache).map((bytes) => bytes.toString())) {
    if (!isLost || !isHeadName(name)) files.removeTree(`${layout.cache}/${name}`);
  }
}

/** What is done, in words. */
function changesOf(plan: RepairPlan, formatIsLost: boolean): string[] {
  const { catalog, findings, roles, unreadable } = plan;
  const changes: string[] = [];
  if (formatIsLost) changes.push('format.json is written anew');
  for (const [path, kept] of plan.secondNames) {
    changes.push(`${path} is a second name of ${kept}, and goes`);
  }
  for (const { path, name } of plan.misnamed) changes.push(`${path} is renamed to ${name}`);
  if (catalog !== undefined) {
    const counts = `${findings.packs.length} packs and ${roles.size} snapshots`;
    changes.push(`the catalog is built anew, of ${counts}; the old one goes to damaged/`);
  }
  for (const { name, newName, pages } of plan.healed) {
    const what = name ?? 'of packs that are gone, what was found';
    const why = pages === 0 ? 'its digests were computed' : `${pages} lost pages were found`;
    changes.push(`${what} is written once more as ${newName}: ${why}`);
  }
  for (const { id, timeline, formerSequence, sequence } of plan.renumbered) {
    changes.push(`${id} becomes ${timeline}@${sequence}: another is ${timeline}@${formerSequence}`);
  }
  const { length: mended } = lostChanges(plan).mended;
  if (catalog === undefined && mended > 0) {
    changes.push(`${mended} frames that were on record as damaged can be read again`);
  }
  for (const { name } of unreadable) changes.push(`${name} goes to damaged/`);
  return changes;
}
