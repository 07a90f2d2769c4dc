/** What every operation of a store works with; made once at opening. */
import type { Zstd } from '../bytes/zstd.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Files } from '../files/files.ts';
import type { PageIndex } from '../index/page-index.ts';
import type { PackSet } from '../pack/pack-set.ts';
import type { Threads } from '../slices/threads.ts';
import { StoreError } from '../errors.ts';
import type { Activity } from './activity.ts';
import type { Background } from './background.ts';
import type { BufferPool } from './capture-buffers.ts';
import type { Condemned } from './condemned.ts';
import type { StoreLayout } from './layout.ts';
import type { PackFacts } from './pack-facts.ts';
import type { PagesCache } from './pages-cache.ts';
import type { SegmentDirectory } from './segment-directory.ts';
import type { StagingArea } from './staging.ts';
import type { UnfinishedCollection } from './unfinished.ts';
import type { WarmPages } from './warm-pages.ts';

/** Options that operations read. */
export interface StoreSettings {
  readonly cacheBytes: number;
  readonly warmBytes: number;
  readonly compressionLevel: number;
  readonly maxDeltaDepth: number;
  readonly workers: number;
  readonly lockTimeoutMs: number;
}

/** The parts of an open store. */
export interface StoreContext {
  readonly files: Files;
  readonly layout: StoreLayout;
  readonly settings: StoreSettings;
  readonly zstd: Zstd;
  readonly catalog: Catalog;
  readonly packs: PackSet;
  readonly index: PageIndex;
  readonly segments: SegmentDirectory;
  readonly condemned: Condemned;
  /** Who works on slices of pages. */
  readonly threads: Threads;
  readonly buffers: BufferPool;
  readonly warm: WarmPages;
  readonly packFacts: PackFacts;
  readonly background: Background;
  readonly pagesCache: PagesCache;
  readonly unfinished: UnfinishedCollection;
  /** This process's claim and its unfinished work; undefined when opened for reading. */
  readonly staging: StagingArea | undefined;
  /** What other processes see of the operations that run; undefined when opened for reading. */
  readonly activity: Activity | undefined;
}

/** The staging area of a store that may be written. @throws StoreError READ_ONLY. */
export function writableStaging(context: StoreContext): StagingArea {
  if (context.staging !== undefined) return context.staging;
  const { directory: file } = context.layout;
  throw new StoreError('READ_ONLY', 'the store was opened for reading', { file });
}

/** What long operations report while they run. */
export interface Progress {
  /** What is being done. */
  readonly phase: 'pages' | 'files' | 'packs' | 'snapshots' | 'archive';
  /** How much of it is done, in bytes (packs and snapshots: their number). */
  readonly done: number;
  /** How much there is to do. */
  readonly total: number;
}

/** A part of the store that is damaged. */
export interface Damage {
  /** Path of the pack. */
  readonly file: string;
  /** Where the block starts that cannot be read. */
  readonly offset: number;
}

/** What every long operation takes. */
export interface OperationOptions {
  /** Stops the operation; the store stays as it was. */
  readonly signal?: AbortSignal | undefined;
  /** Called between slices of work, and once at the end. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Called at the end for each damaged part of the store that was met for the first time. A capture
   * does not fail because of it: what it needs of the lost pages, it stores again.
   */
  readonly onDamage?: ((damage: Damage) => void) | undefined;
}
