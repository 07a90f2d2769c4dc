/**
 * Opening and creating a store.
 *
 * To create: directories, this process's lease and staging, format.json by a link (of two creators
 * one wins, and both go on with its store id), then the catalog. Every step may have been done
 * already, by another process or before a crash; none is undone. To open for reading: the catalog
 * and its -wal are copied to a private temporary directory, and nothing of the store is touched.
 */
import { dirname, join } from 'node:path';
import { loadZstd, type Zstd } from '../bytes/zstd.ts';
import { Catalog } from '../catalog/catalog.ts';
import { storageError, StoreError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { copyStable, type FileToCopy } from '../files/copy-stable.ts';
import { nodeFiles } from '../files/node-files.ts';
import { exists, isMissing, syncDirectory } from '../files/transfer.ts';
import { PageIndex } from '../index/page-index.ts';
import { PackSet } from '../pack/pack-set.ts';
import { inlineThreads } from '../slices/inline-threads.ts';
import type { Threads } from '../slices/threads.ts';
import { workerThreads } from '../slices/worker-threads.ts';
import { Activity } from './activity.ts';
import { Background } from './background.ts';
import { BufferPool } from './capture-buffers.ts';
import { newIdentity } from './clock.ts';
import { Condemned } from './condemned.ts';
import type { StoreContext, StoreSettings } from './context.ts';
import { checkFileSystem, checkFreeSpace } from './file-system-check.ts';
import { createFormat, readFormat, type StoreFormat } from './format-file.ts';
import { StoreLayout } from './layout.ts';
import { checkNoRepair } from './repair-lock.ts';
import { PackFacts } from './pack-facts.ts';
import { isRegularFile, pathsInPacks } from './pack-files.ts';
import { PagesCache } from './pages-cache.ts';
import { SegmentDirectory } from './segment-directory.ts';
import { clearDeadStaging, StagingArea } from './staging.ts';
import { UnfinishedCollection } from './unfinished.ts';
import { WarmPages } from './warm-pages.ts';

/** The page index gets this part of the cache; decoded frames get theirs while a restore runs. */
const INDEX_CACHE_SHARE = 0.25;

/** Settings of an opening, complete. */
export interface OpenSettings extends StoreSettings {
  /** How much an operation must be about at least for workers to start. */
  readonly workersFromBytes: number;
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly anyFileSystem: boolean;
  readonly files: Files;
}

/** An open store: its parts, and how they are closed. */
export interface OpenedStore {
  readonly context: StoreContext;
  /** Closes everything that was opened. */
  close(): Promise<void>;
}

/** @throws StoreError NOT_FOUND, EXISTS, CORRUPT, UNSUPPORTED_VERSION, STORAGE. */
export async function openStore(directory: string, settings: OpenSettings): Promise<OpenedStore> {
  const { files } = settings;
  try {
    if (settings.create) makeDirectory(files, directory);
    const layout = new StoreLayout(findDirectory(files, directory));
    if (settings.readOnly) return await openForReading(layout, settings);
    return await openForWriting(layout, settings);
  } catch (cause) {
    if (systemCode(cause) !== 'EROFS') throw storageError('open the store', directory, cause);
    const message = 'the file system is read-only: open the store with readOnly';
    throw new StoreError('READ_ONLY', message, { file: directory, cause });
  }
}

function makeDirectory(files: Files, directory: string): void {
  if (exists(files, directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(files, parent);
  makeIfMissing(files, directory);
  syncDirectory(files, parent);
}

function makeIfMissing(files: Files, directory: string): void {
  try {
    files.mkdir(directory, 0o700);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** The directory of a store, without links. @throws StoreError NOT_FOUND. */
export function findDirectory(files: Files, directory: string): string {
  const file = directory;
  try {
    const path = files.realpath(directory);
    if (files.lstat(path).kind === 'directory') return path;
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new StoreError('NOT_FOUND', 'no store there', { file, cause });
  }
  throw new StoreError('NOT_FOUND', 'no store there, this is not a directory', { file });
}

function requireFormat(format: StoreFormat | undefined, layout: StoreLayout): StoreFormat {
  if (format !== undefined) return format;
  const message = 'no store there: format.json is missing';
  throw new StoreError('NOT_FOUND', message, { file: layout.directory });
}

/** The format, if there is one. format.json is written before the catalog: one without is lost. */
function findFormat(files: Files, layout: StoreLayout): StoreFormat | undefined {
  const format = readFormat(files, layout.formatFile);
  if (format !== undefined || !exists(files, layout.catalogFile)) return format;
  // Another creator may have made both since the first look.
  const second = readFormat(files, layout.formatFile);
  if (second !== undefined) return second;
  throw new StoreError('CORRUPT', 'the file is missing', { file: layout.formatFile });
}

async function openForWriting(layout: StoreLayout, settings: OpenSettings): Promise<OpenedStore> {
  const { files } = settings;
  if (!settings.anyFileSystem) checkFileSystem(files, layout.directory);
  const found = findFormat(files, layout);
  if (found === undefined && settings.create) prepareCreation(files, layout);
  else requireFormat(found, layout);
  for (const subdirectory of layout.subdirectories) makeIfMissing(files, subdirectory);
  const staging = StagingArea.open(files, layout);
  try {
    // After the lease is held: a repair that begins now sees it.
    checkNoRepair(files, layout);
    const format = found ?? createFormat(files, layout, newIdentity(), staging.newPath('.json'));
    makeCatalogFile(files, layout);
    // Every time: whoever made these files may have died before making them durable.
    syncDirectory(files, layout.directory);
    const mayBeNew = !holdsPacks(files, layout);
    const catalog = await Catalog.open(layout.catalogFile, format.storeId, { mayBeNew });
    const activity = await registerLease(files, layout, catalog, staging);
    const context = await assemble(layout, settings, catalog, { staging, activity });
    return { context, close: () => closeForWriting(context, staging) };
  } catch (error) {
    closeQuietly(staging);
    throw error;
  }
}

/** The error of opening is the one to report; the next opening clears what is left. */
function closeQuietly(staging: StagingArea): void {
  try {
    staging.close();
  } catch {
    // See above.
  }
}

/** A new store goes into an empty directory, or one where a creation has begun. */
function prepareCreation(files: Files, layout: StoreLayout): void {
  const file = layout.directory;
  const own = new Set(layout.ownNames);
  const stranger = files.list(file).find((name) => !own.has(name.toString()));
  if (stranger !== undefined) {
    const message = `the directory is not empty and holds no store: ${stranger.toString()}`;
    throw new StoreError('EXISTS', message, { file });
  }
  if (holdsPacks(files, layout)) {
    const message = 'the file is missing, and packs are there';
    throw new StoreError('CORRUPT', message, { file: layout.formatFile });
  }
  checkFreeSpace(files, file);
  const fd = files.open(file, 'directory');
  try {
    files.chmod(fd, 0o700);
  } finally {
    files.close(fd);
  }
  syncDirectory(files, dirname(layout.directory));
}

/** A catalog that is gone while packs are there is a loss to repair, not a new store. */
function makeCatalogFile(files: Files, layout: StoreLayout): void {
  const file = layout.catalogFile;
  const isThere = exists(files, file);
  if (isThere && files.lstat(file).sizeBytes > 0) return;
  if (holdsPacks(files, layout)) {
    const message = `the catalog is ${isThere ? 'empty' : 'missing'}, and packs are there`;
    throw new StoreError('CORRUPT', message, { file });
  }
  if (isThere) return;
  try {
    // Made here, because SQLite would make it readable for others.
    files.close(files.open(file, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Empty subdirectories are what captures leave that failed. */
function holdsPacks(files: Files, layout: StoreLayout): boolean {
  for (const path of pathsInPacks(files, layout)) if (isRegularFile(files, path)) return true;
  return false;
}

/** Says that this process is here, and forgets those that are gone. */
async function registerLease(
  files: Files,
  layout: StoreLayout,
  catalog: Catalog,
  staging: StagingArea,
): Promise<Activity> {
  try {
    await catalog.putLease(staging.name, process.pid);
    clearDeadStaging(files, layout, staging.name);
    for (const name of catalog.leaseNames()) {
      if (!exists(files, layout.leaseFile(name))) await catalog.deleteLease(name);
    }
    return new Activity(catalog, layout.activityFile(staging.name), staging.name);
  } catch (error) {
    catalog.close();
    throw error;
  }
}

async function closeForWriting(context: StoreContext, staging: StagingArea): Promise<void> {
  try {
    await context.background.settle();
    await context.threads.close();
    await context.activity?.close();
    staging.close();
    await forgetLease(context, staging);
  } catch (error) {
    throw storageError('clear staging', context.layout.stagingDirectory(staging.name), error);
  } finally {
    closeParts(context);
  }
}

/** On a full disk the row stays, and the next opening forgets it. */
async function forgetLease({ catalog }: StoreContext, staging: StagingArea): Promise<void> {
  try {
    await catalog.deleteLease(staging.name);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'STORAGE')) throw error;
  }
}

function closeParts(context: StoreContext): void {
  context.index.close();
  context.packs.close();
  context.catalog.close();
}

async function openForReading(layout: StoreLayout, settings: OpenSettings): Promise<OpenedStore> {
  const { files } = settings;
  const format = requireFormat(findFormat(files, layout), layout);
  checkNoRepair(files, layout);
  const copy = files.makeTemporaryDirectory('criu-timeline-');
  try {
    const catalogFile = join(copy, 'catalog.sqlite');
    copyStable(files, catalogFilesTo(layout, catalogFile));
    const mayBeNew = !holdsPacks(files, layout);
    const catalog = await Catalog.open(catalogFile, format.storeId, { mayBeNew });
    const context = await assemble(layout, settings, catalog, undefined);
    const close = async () => {
      await context.threads.close();
      closeParts(context);
      files.removeTree(copy);
    };
    return { context, close };
  } catch (error) {
    files.removeTree(copy);
    throw error;
  }
}

/** The catalog and its -wal, to be copied to another place. */
export function catalogFilesTo(layout: StoreLayout, to: string): readonly FileToCopy[] {
  const from = layout.catalogFile;
  return [
    { from, to, optional: false },
    { from: `${from}-wal`, to: `${to}-wal`, optional: true, isLog: true },
  ];
}

/** Workers use Node's own file system: whoever brings another one works alone. */
function makeThreads({ files, workers, workersFromBytes }: OpenSettings, zstd: Zstd): Threads {
  const isOwn = files === nodeFiles;
  if (workers === 0 || !isOwn) return inlineThreads(files, zstd);
  return workerThreads(workers, files, zstd, workersFromBytes);
}

/** Puts the parts of a store together; a failure closes the catalog. */
export async function assemble(
  layout: StoreLayout,
  settings: OpenSettings,
  catalog: Catalog,
  own: { readonly staging: StagingArea; readonly activity: Activity } | undefined,
): Promise<StoreContext> {
  try {
    const { files } = settings;
    const zstd = await loadZstd();
    const threads = makeThreads(settings, zstd);
    return {
      files,
      layout,
      settings,
      zstd,
      catalog,
      packs: new PackSet(files, zstd, (name) => layout.packFile(name)),
      index: new PageIndex(files, layout.index, settings.cacheBytes * INDEX_CACHE_SHARE),
      segments: new SegmentDirectory(catalog),
      condemned: new Condemned(catalog, layout.catalogFile),
      threads,
      buffers: new BufferPool(threads.workers),
      warm: new WarmPages(own === undefined ? 0 : settings.warmBytes),
      packFacts: new PackFacts(),
      background: new Background(),
      pagesCache: new PagesCache(),
      unfinished: new UnfinishedCollection(),
      staging: own?.staging,
      activity: own?.activity,
    };
  } catch (error) {
    catalog.close();
    throw error;
  }
}
