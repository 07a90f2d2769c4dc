/**
 * Backup: a copy of the whole store that is a store itself, made beside running captures.
 *
 * The catalog is copied first, as it is at one moment; then every pack that this copy knows, which
 * no collection takes away while this runs; then the catalog takes its place in the target, which
 * is the moment the backup comes to be. Until then the target is the former backup, and whenever
 * this was cut off the next one goes on. Only after it, packs that only the former one knew go.
 *
 * Damage does not stop it: what is wrong is reported, and everything else is saved. Then nothing of
 * the former backup goes: its packs may have what is lost, and a repair of the backup finds them.
 */
import { Catalog } from '../catalog/catalog.ts';
import type { LostFrameRow } from '../catalog/pack-records.ts';
import type { PackRow, SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import { exists } from '../files/transfer.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import { BackupTarget } from './backup-target.ts';
import { PackCopier, type CopiedPacks, type DamagedSource } from './backup-packs.ts';
import { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { readFormat } from './format-file.ts';
import { checkIsUpToDate } from './outdated.ts';

/** What a backup did. */
export interface BackupReport {
  /** Absolute path. */
  readonly target: string;
  /** Snapshots in the backup, those marked as removed included. */
  readonly snapshots: number;
  readonly packs: {
    readonly copied: number;
    readonly copiedBytes: number;
    /** Packs that the target had already. */
    readonly kept: number;
    /** Packs of the former backup that the store has no more. */
    readonly removed: number;
  };
  /** Packs that are damaged in the store. */
  readonly damagedPacks: readonly DamagedSource[];
  /** What is wrong with the catalog. */
  readonly problems: readonly string[];
}

/** What a target was before. */
interface Former {
  readonly packs: readonly PackRow[];
  /** Packs of a backup before, which was cut off when it was about to remove them. */
  readonly retired: readonly string[];
  readonly lostFrames: readonly LostFrameRow[];
  readonly snapshots: readonly SnapshotRow[];
  readonly lastSequences: ReadonlyMap<string, number>;
  readonly generation: number;
}

/** Makes, or brings up to date, a backup of the store in `path`. */
export async function backup(
  context: StoreContext,
  path: string,
  options: OperationOptions = {},
): Promise<BackupReport> {
  if (typeof path !== 'string' || path === '') throw new TypeError('the target is a path');
  const { formatFile } = context.layout;
  const format = readFormat(context.files, formatFile);
  if (format === undefined) {
    throw new StoreError('CORRUPT', 'the file is missing', { file: formatFile });
  }
  const target = BackupTarget.open(context, path, format.storeId);
  let report: BackupReport;
  try {
    report = await fill(context, target, format.storeId, options);
  } catch (error) {
    closeQuietly(target);
    throw error;
  }
  target.close();
  return report;
}

/** The error of the backup is the one to report; the next one clears what is left. */
function closeQuietly(target: BackupTarget): void {
  try {
    target.close();
  } catch {
    // See above.
  }
}

async function fill(
  context: StoreContext,
  target: BackupTarget,
  storeId: Uint8Array,
  { signal, onProgress }: OperationOptions,
): Promise<BackupReport> {
  const { files } = context;
  const pacer = new Pacer(signal);
  const path = target.staging.newPath('.sqlite');
  // Made here, because SQLite would make it readable for others.
  files.close(files.open(path, 'create'));
  await context.catalog.copyTo(path, signal);
  const former = await readFormer(context, target, storeId, signal);
  const catalog = await Catalog.open(path, storeId, { mayBeNew: false, signal });
  let copied: CopiedPacks;
  let rows: readonly PackRow[];
  let snapshots: number;
  let problems: readonly string[];
  let isWhole: boolean;
  try {
    problems = catalog.check().map(({ summary }) => summary);
    if (former !== undefined) checkIsOlder(former, catalog, target.layout.directory);
    rows = catalog.packs();
    snapshots = catalog.snapshots.all([]).length;
    const copier = new PackCopier(context, target, pacer);
    const suspects = new Set(former?.lostFrames.map(({ pack }) => pack));
    for (const [i, row] of rows.entries()) {
      await copier.copy(row, suspects.has(row.name));
      onProgress?.({ phase: 'packs', done: i + 1, total: rows.length });
    }
    copied = await copier.finish();
    isWhole =
      problems.length === 0 && copied.damaged.every(({ inBackup }) => inBackup === 'former');
    if (!isWhole) checkIsUpToDate(context);
    await describeCopy(catalog, copied, former, isWhole);
  } finally {
    catalog.close();
  }
  signal?.throwIfAborted();
  target.finish(path);
  const removed = isWhole ? removeForgotten(context, target, former, rows) : 0;
  const { kept, damaged: damagedPacks, ...counts } = copied;
  const packs = { ...counts, kept: kept.length, removed };
  return { target: target.layout.directory, snapshots, packs, damagedPacks, problems };
}

/** What the target knows; its -wal, if there is one, becomes part of its catalog. */
async function readFormer(
  { files }: StoreContext,
  { layout }: BackupTarget,
  storeId: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Former | undefined> {
  const file = layout.catalogFile;
  if (!exists(files, file)) return undefined;
  const { kind, sizeBytes } = files.lstat(file);
  if (kind !== 'file') throw new StoreError('EXISTS', `the catalog is a ${kind}`, { file });
  if (sizeBytes === 0) return undefined;
  const catalog = await Catalog.open(file, storeId, { mayBeNew: false, signal });
  try {
    return {
      packs: catalog.packs(),
      retired: catalog.packRecords.retired(),
      lostFrames: catalog.lostFrames(),
      snapshots: catalog.snapshots.all([]),
      lastSequences: catalog.lastSequences(),
      generation: catalog.generation,
    };
  } finally {
    catalog.close();
  }
}

/**
 * A backup that was captured into has what the store does not: it is not written over.
 *
 * @throws StoreError EXISTS.
 */
function checkIsOlder(former: Former, catalog: Catalog, file: string): void {
  const last = catalog.lastSequences();
  const newer = [...former.lastSequences].find(([name, sequence]) => {
    return sequence > (last.get(name) ?? 0);
  });
  const placeOf = (row: SnapshotRow): string => `${row.timelineName}@${row.sequence}`;
  const ids = new Map(catalog.snapshots.all([]).map((row) => [placeOf(row), row.id]));
  const other = former.snapshots.find((row) => (ids.get(placeOf(row)) ?? row.id) !== row.id);
  const isAhead = former.generation > catalog.generation;
  if (newer === undefined && other === undefined && !isAhead) return;
  const what = newer?.[0] ?? other?.timelineName ?? 'a later collection';
  const message = `the target has what the store does not: ${what}`;
  throw new StoreError('EXISTS', message, { file });
}

/** In the copied catalog: what was true of the store's files is made true of the target's. */
async function describeCopy(
  catalog: Catalog,
  { kept, damaged }: CopiedPacks,
  former: Former | undefined,
  isWhole: boolean,
): Promise<void> {
  await catalog.forgetOriginal();
  await catalog.packRecords.removeLostFrames(catalog.lostFrames());
  const isKept = new Set(kept);
  const lost = (former?.lostFrames ?? []).filter(({ pack }) => isKept.has(pack));
  const isNew = damaged.filter(({ inBackup }) => inBackup !== 'former');
  const whole = isNew.map(({ name }) => ({ pack: name, offset: WHOLE_PACK }));
  await catalog.addLostFrames([...lost, ...whole]);
  if (!isWhole) return;
  const known = new Set(catalog.packs().map(({ name }) => name));
  const forgotten = (former?.packs ?? []).filter(({ name }) => !known.has(name));
  await catalog.packRecords.retire(forgotten, catalog.generation);
}

/** Packs that the former backup knew, and this one does not. */
function removeForgotten(
  { files }: StoreContext,
  { layout }: BackupTarget,
  former: Former | undefined,
  rows: readonly PackRow[],
): number {
  const known = new Set(rows.map(({ name }) => name));
  let removed = 0;
  const names = former?.packs.map(({ name }) => name) ?? [];
  for (const name of [...names, ...(former?.retired ?? [])]) {
    const path = layout.packFile(name);
    if (known.has(name) || !exists(files, path)) continue;
    files.unlink(path);
    removed += 1;
  }
  return removed;
}
