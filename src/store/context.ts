/** What every operation of a store works with; made once at opening. */
import type { Zstd } from '../bytes/zstd.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Files } from '../files/files.ts';
import type { PageIndex } from '../index/page-index.ts';
import type { PackSet } from '../pack/pack-set.ts';
import { StoreError } from '../errors.ts';
import type { StoreLayout } from './layout.ts';
import type { SegmentDirectory } from './segment-directory.ts';
import type { StagingArea } from './staging.ts';

/** Options that operations read. */
export interface StoreSettings {
  readonly cacheBytes: number;
  readonly compressionLevel: number;
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
  /** This process's claim and its unfinished work; undefined when opened for reading. */
  readonly staging: StagingArea | undefined;
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
  readonly phase: 'pages' | 'files' | 'packs' | 'snapshots';
  /** How much of it is done, in bytes (packs and snapshots: their number). */
  readonly done: number;
  /** How much there is to do. */
  readonly total: number;
}

/** What every long operation takes. */
export interface OperationOptions {
  /** Stops the operation; the store stays as it was. */
  readonly signal?: AbortSignal | undefined;
  /** Called between slices of work, and once at the end. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}
