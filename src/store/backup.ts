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
import { StoreError } from '../errors.ts';
import { exists } from '../files/transfer.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import {
  checkMayReplace,
  readKnowledge,
  unneededPacks,
  type Knowledge,
  type NamedPack,
} from './backup-former.ts';
import { BackupTarget } from './backup-target.ts';
import { PackCopier, type CopiedPacks, type DamagedSource } from './backup-packs.ts';
import { newIdentity, Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { readFormat } from './format-file.ts';
import { groupBy } from './group-by.ts';
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
    /** Packs that the target had already, whole. */
    readonly kept: number;
    /** Packs of the former backup that the store has no more. */
    readonly removed: number;
  };
  /** Packs that are damaged in the store. */
  readonly damagedPacks: readonly DamagedSource[];
  /** What is wrong with the catalog. */
  readonly problems: readonly string[];
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
  options: OperationOptions,
): Promise<BackupReport> {
  const { files } = context;
  const { signal } = options;
  await record(context, signal);
  const path = target.staging.newPath('.sqlite');
  // Made here, because SQLite would make it readable for others.
  files.close(files.open(path, 'create'));
  await context.catalog.copyTo(path, signal);
  const former = await readFormer(context, target, storeId, signal);
  const catalog = await Catalog.open(path, storeId, { mayBeNew: false, signal });
  let copied: CopiedPacks;
  let unneeded: readonly NamedPack[];
  let snapshots: number;
  let problems: readonly string[];
  try {
    problems = [...catalog.check(), ...(former?.damage ?? [])].map(({ summary }) => summary);
    unneeded = findUnneeded(context, target, former, catalog);
    snapshots = catalog.snapshots.all([]).length;
    copied = await copyPacks(context, target, { catalog, former }, options);
    checkIsUpToDate(context);
    await describeCopy(catalog, copied, former);
    if (problems.length > 0 || catalog.lostFrames().length > 0) unneeded = [];
    await catalog.packRecords.retire(unneeded, catalog.generation);
  } finally {
    catalog.close();
  }
  signal?.throwIfAborted();
  target.finish(path);
  copied.placeDamaged();
  for (const { name } of unneeded) files.unlink(target.layout.packFile(name));
  const { copiedBytes, kept, damaged: damagedPacks } = copied;
  const packs = { copied: copied.copied, copiedBytes, kept, removed: unneeded.length };
  return { target: target.layout.directory, snapshots, packs, damagedPacks, problems };
}

/** Notes in the catalog, and so in its copy, that there is one more backup. */
async function record(context: StoreContext, signal: AbortSignal | undefined): Promise<void> {
  if (context.staging === undefined) return;
  try {
    await context.catalog.backupRecords.add(newIdentity(), signal);
  } catch (error) {
    // On a full disk it is made all the same, as another one of the last that is known.
    if (!(error instanceof StoreError && error.code === 'STORAGE')) throw error;
  }
}

/** What the target knows; its -wal, if there is one, becomes part of its catalog. */
async function readFormer(
  { files }: StoreContext,
  { layout }: BackupTarget,
  storeId: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Knowledge | undefined> {
  const file = layout.catalogFile;
  if (!exists(files, file)) return undefined;
  const { kind, sizeBytes } = files.lstat(file);
  if (kind !== 'file') throw new StoreError('EXISTS', `the catalog is a ${kind}`, { file });
  if (sizeBytes === 0) return undefined;
  const catalog = await Catalog.open(file, storeId, { mayBeNew: false, signal });
  try {
    return readKnowledge(catalog);
  } finally {
    catalog.close();
  }
}

/** Packs of the target that it does not need once it is a whole backup. */
function findUnneeded(
  { files, layout: store }: StoreContext,
  { layout }: BackupTarget,
  former: Knowledge | undefined,
  catalog: Catalog,
): readonly NamedPack[] {
  if (former === undefined) return [];
  const own = readKnowledge(catalog);
  checkMayReplace(former, own, layout.directory);
  // A pack that is there, and that no collection has let go of, is one that the catalog has lost.
  const retired = new Set(own.retired.map(({ name }) => name));
  const isUnknown = (name: string) => !retired.has(name) && exists(files, store.packFile(name));
  return unneededPacks(former, own).filter(
    ({ name }) => exists(files, layout.packFile(name)) && !isUnknown(name),
  );
}

async function copyPacks(
  context: StoreContext,
  target: BackupTarget,
  { catalog, former }: { readonly catalog: Catalog; readonly former: Knowledge | undefined },
  { signal, onProgress }: OperationOptions,
): Promise<CopiedPacks> {
  const copier = new PackCopier(context, target, new Pacer(signal));
  const rows = catalog.packs();
  const trusted = new Set(former?.packs.map(({ name }) => name));
  for (const { pack } of former?.lostFrames ?? []) trusted.delete(pack);
  for (const pack of former?.damagedPacks ?? []) trusted.delete(pack);
  const hasLost = new Set(catalog.lostFrames().map(({ pack }) => pack));
  for (const [i, row] of rows.entries()) {
    const isTrusted = trusted.has(row.name);
    await copier.copy(row, { isTrusted, hasLost: hasLost.has(row.name) });
    onProgress?.({ phase: 'packs', done: i + 1, total: rows.length });
  }
  return await copier.finish();
}

/**
 * In the copied catalog: what was true of the store's files is made true of the target's. Frames
 * that are lost in a pack whose bytes are right, as a repair writes it, are lost in every copy.
 */
async function describeCopy(
  catalog: Catalog,
  { better, damaged }: CopiedPacks,
  former: Knowledge | undefined,
): Promise<void> {
  await catalog.forgetOriginal();
  const others = new Set([...better, ...damaged.map(({ name }) => name)]);
  const untrue = catalog.lostFrames().filter(({ pack }) => others.has(pack));
  await catalog.packRecords.removeLostFrames(untrue);
  const recorded = groupBy(former?.lostFrames ?? [], ({ pack }) => pack);
  const lost = damaged.flatMap(({ name: pack, inBackup }) => {
    const before = inBackup === 'former' ? recorded.get(pack) : undefined;
    return before ?? [{ pack, offset: WHOLE_PACK }];
  });
  await catalog.addLostFrames(lost);
}
