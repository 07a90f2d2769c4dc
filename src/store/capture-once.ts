/**
 * One attempt of a capture: pages in address order, the manifest, publication. A failure at any
 * step leaves the store as it was.
 */
import { sha256 } from '#digest';
import { idFromText, idToText } from '../bytes/id.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import type { SnapshotToAdd } from '../catalog/snapshot-table.ts';
import { confirmUnchanged, type ImageDirectory } from '../images/index.ts';
import {
  encodeManifest,
  MAX_RECIPE_DEPTH,
  type Manifest,
  type RecipeBase,
} from '../manifest/manifest.ts';
import { snapshotDigest } from '../manifest/snapshot-digest.ts';
import type { FilesOrigin } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';
import type { CaptureBuffers } from './capture-buffers.ts';
import type { CaptureBase } from './capture-base.ts';
import {
  captureEntries,
  filesOf,
  type CaptureEntry,
  type EntryStorage,
} from './capture-entries.ts';
import type { CapturedFiles } from './capture-files.ts';
import { newIdentity, newSnapshotId, Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { FrameQueue } from './frame-queue.ts';
import { StagedHead } from './heads.ts';
import { mergeIndex } from './index-merge.ts';
import { matchFiles } from './match-files.ts';
import { PageStore } from './page-store.ts';
import { publishFacts } from './path-facts-file.ts';
import { programSource } from './programs.ts';
import { publish } from './publish.ts';
import { StagedPack } from './staged-pack.ts';
import type { WarmCapture } from './warm-pages.ts';

/** What is captured, but for the files. */
export interface CaptureSubject {
  readonly timeline: string;
  readonly takenAtMs: number;
  readonly labels: Manifest['labels'];
  readonly images: ImageDirectory;
  readonly parent: SnapshotRow | undefined;
  readonly base: CaptureBase | undefined;
  /** Where the container's files are; undefined when they are not captured. */
  readonly origin: FilesOrigin | undefined;
  readonly acceptChanges: boolean;
}

/** What one attempt captures. */
export interface CaptureHead extends CaptureSubject {
  /** Undefined when there are none. */
  readonly files: CapturedFiles | undefined;
  /** Those of the images, then those of the files. */
  readonly entries: readonly CaptureEntry[];
}

/**
 * Stores everything and publishes the snapshot.
 *
 * @param isLast whether to go on in spite of damage that is met.
 * @returns undefined when damage was found, which pages seen before may stand on.
 */
export async function captureOnce(
  context: StoreContext,
  head: CaptureHead,
  isLast: boolean,
  pacer: Pacer,
  options: OperationOptions,
): Promise<SnapshotRow | undefined> {
  const snapshotId = newSnapshotId();
  const buffers = context.buffers.take();
  buffers.recent.begin(pagesIn(head.entries));
  const warm = beginWarm(context, head.base);
  const staged = new StagedPack(context);
  const digests = new StagedHead(context, snapshotId);
  const { lostFrames } = context.packs;
  const found = lostFrames.found;
  try {
    const to = { staged, digests, buffers, warm, pacer, options };
    const stored = await storePages(context, head, to);
    await pacer.pause();
    if (lostFrames.found > found && !isLast) {
      staged.discard();
      digests.discard();
      return undefined;
    }
    const manifest = makeManifest(context, head, snapshotId, stored);
    const manifestBytes = encodeManifest(manifest);
    const manifestDigest = sha256(manifestBytes);
    const toWrite = { ...manifest, digest: manifestDigest, bytes: manifestBytes };
    for (const _ of staged.writer.addManifestParts(toWrite)) await pacer.pause();
    const pack = staged.seal();
    await pacer.pause();
    const { frameBytes } = staged.writer;
    const segment = { identity: stored.identity, pages: stored.newPages, frameBytes };
    const snapshot = rowOf(manifest, manifestDigest, pack.sizeBytes);
    const toPublish = { path: staged.path, pack, segment, snapshot };
    const row = await publish(context, toPublish, options.signal);
    digests.publish(head.timeline, row.id);
    warm.end(row.id);
    if (head.files !== undefined) {
      publishFacts(context, head.files.facts, { timeline: head.timeline, id: row.id, snapshotId });
    }
    context.background.start(() => mergeIndex(context, new Pacer(undefined)));
    return row;
  } catch (error) {
    staged.discard();
    digests.discard();
    throw error;
  } finally {
    warm.abandon();
    context.buffers.give(buffers);
  }
}

function pagesIn(entries: readonly CaptureEntry[]): number {
  return entries.reduce((sum, { sizeBytes }) => sum + pagesOf(sizeBytes), 0);
}

/** Where damage is known, every base is read, so that nothing new stands on what is lost. */
function beginWarm({ warm, packs }: StoreContext, base: CaptureBase | undefined): WarmCapture {
  const isBelieved = packs.lostFrames.isEmpty && base?.hasChanged === false;
  return warm.begin(isBelieved ? base.snapshot.row.id : undefined);
}

/** What storing the pages came to. */
interface StoredPages {
  readonly identity: Uint8Array;
  readonly newPages: number;
  readonly segments: readonly Uint8Array[];
  readonly entries: Manifest['entries'];
  /** What the recipes differ from. */
  readonly base: RecipeBase | undefined;
}

interface StorePagesTo {
  readonly staged: StagedPack;
  readonly digests: StagedHead;
  readonly buffers: CaptureBuffers;
  readonly warm: WarmCapture;
  readonly pacer: Pacer;
  readonly options: OperationOptions;
}

async function storePages(
  context: StoreContext,
  head: CaptureHead,
  { staged, digests, buffers, warm, pacer, options }: StorePagesTo,
): Promise<StoredPages> {
  const { images } = head;
  const sources = filesOf(head.entries).flatMap((entry) => entry.source ?? []);
  const fresh = head.base?.hasChanged;
  const cells = context.warm.memory;
  const bytes = pagesIn(head.entries) * PAGE_BYTES;
  const needs = { bytes, sources, cells, head: head.base?.head, refuseLost: true, fresh };
  return await withCrew(context, needs, async (crew) => {
    const identity = newIdentity();
    staged.writer.beginSegment(identity);
    const base = recipeBase(head.base);
    const from = { crew, staged, digests, identity, head, base, buffers, warm, pacer };
    const storage = makeStorage(context, from);
    const entries = await captureEntries(head.entries, storage, pacer, options);
    await crew.runEverywhere('closeSources');
    confirmUnchanged(images, context.files);
    staged.writer.endSegment();
    const { newPages, segments } = storage.pages;
    return { identity, newPages, segments, entries, base };
  });
}

function makeStorage(
  context: StoreContext,
  from: {
    readonly crew: Crew;
    readonly staged: StagedPack;
    readonly digests: StagedHead;
    readonly identity: Uint8Array;
    readonly head: CaptureHead;
    readonly base: RecipeBase | undefined;
    readonly buffers: CaptureBuffers;
    readonly warm: WarmCapture;
    readonly pacer: Pacer;
  },
): EntryStorage {
  const { crew, staged, digests, identity, head, base, buffers, warm, pacer } = from;
  const { writer } = staged;
  const { places, recent } = buffers;
  const { compressionLevel, maxDeltaDepth } = context.settings;
  const level = compressionLevel;
  const frames = new FrameQueue(crew, { writer, level, buffers: buffers.frames });
  const differs = base !== undefined;
  const pages = new PageStore(context, { writer, frames, identity, differs, recent, warm, pacer });
  const { images } = head;
  const snapshot = head.base?.snapshot;
  const programs = programSource(context, images, snapshot);
  const matches = matchFiles(head.entries, snapshot, programs);
  return { crew, pages, frames, places, head: digests, warm, maxDeltaDepth, matches, differs };
}

/** Recipes are differences, until so many manifests would have to be read that a whole one pays. */
function recipeBase(base: CaptureBase | undefined): RecipeBase | undefined {
  if (base === undefined) return undefined;
  const { manifest } = base.snapshot;
  const depth = (manifest.base?.depth ?? 0) + 1;
  return depth > MAX_RECIPE_DEPTH ? undefined : { id: manifest.snapshotId, depth };
}

function makeManifest(
  context: StoreContext,
  head: CaptureHead,
  snapshotId: Uint8Array,
  stored: StoredPages,
): Manifest {
  const { images, parent } = head;
  return {
    snapshotId,
    revision: 0,
    kind: images.kind,
    timeline: head.timeline,
    sequence: context.catalog.snapshots.nextSequence(head.timeline),
    takenAtMs: head.takenAtMs,
    labels: head.labels,
    parent: parent && { id: idFromText(parent.id) as Uint8Array, digest: parent.digest },
    criuRunId: images.criuRunId,
    dumpUptimeUs: images.dumpUptimeUs,
    dumpPageBytes: images.pageBytes,
    directoryMode: images.mode,
    base: stored.base,
    segments: stored.segments,
    newPages: stored.newPages,
    entries: stored.entries,
  };
}

/** What the catalog is to say of a snapshot, by its manifest. */
export function rowOf(
  manifest: Manifest,
  manifestDigest: Uint8Array,
  storedBytes: number,
): SnapshotToAdd {
  const logical = manifest.entries.filter(({ role }) => role !== 'tree');
  const sizes = logical.map((entry) => entry.content?.sizeBytes ?? 0);
  return {
    id: idToText(manifest.snapshotId),
    timelineName: manifest.timeline,
    sequence: manifest.sequence,
    kind: manifest.kind,
    takenAtMs: manifest.takenAtMs,
    digest: snapshotDigest(manifest),
    parentId: manifest.parent && idToText(manifest.parent.id),
    parentDigest: manifest.parent?.digest,
    criuRunId: manifest.criuRunId,
    labels: manifest.labels,
    logicalBytes: sizes.reduce((sum, size) => sum + size, 0),
    logicalPages: sizes.reduce((sum, size) => sum + pagesOf(size), 0),
    newPages: manifest.newPages,
    storedBytes,
    manifestDigest,
    revision: manifest.revision,
    baseId: manifest.base && idToText(manifest.base.id),
  };
}
