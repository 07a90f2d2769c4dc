/**
 * The container's files in a capture: they become two entries beside the images, the tree and the
 * space of what is in its files. Files that have not changed since the snapshot that is continued
 * are pages of that one, and are not read.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { sharedMappings } from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import type { ImageDirectory } from '../images/index.ts';
import type { PlannedFiles } from '../slices/plan-files.ts';
import type { FilesOrigin, StoredTreeRequest } from '../slices/tasks.ts';
import type { InheritedRuns } from '../tree/place-blocks.ts';
import type { SpaceRuns } from '../tree/tree.ts';
import { endLookout, newLookout } from '../upper/lookout.ts';
import type { CaptureBase } from './capture-base.ts';
import type { CaptureEntry } from './capture-entries.ts';
import type { CheckedSource } from './capture-source.ts';
import type { StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { findFacts } from './path-facts-file.ts';
import { imageReader, MAX_IMAGE_BYTES } from './programs.ts';
import { readRequests } from './read-requests.ts';

/** The container's files, ready to be stored. */
export interface CapturedFiles {
  readonly entries: readonly CaptureEntry[];
  /** What the next capture is to be spared by. */
  readonly facts: Uint8Array;
}

/** How files are captured. */
export interface FilesRequest {
  readonly origin: FilesOrigin;
  readonly base: CaptureBase | undefined;
  readonly startedAtMs: number;
  readonly acceptChanges: boolean;
  /** Whether what is remembered of the base's files may be used. */
  readonly isTrusting: boolean;
}

/** Directory of the tree that the container's own files are in. */
export const FILES_PREFIX = 'files';

/** Where the files of an upper directory come from. */
export function directoryOrigin(
  context: StoreContext,
  root: string,
  { hostFiles }: CheckedSource,
  images: ImageDirectory,
): FilesOrigin {
  return {
    kind: 'directory',
    root,
    prefix: FILES_PREFIX,
    hostFiles,
    mappedFiles: mappedFiles(context, images),
  };
}

/** Files that are changed without a trace in their times; undefined: it may be any of them. */
function mappedFiles(context: StoreContext, images: ImageDirectory): string[] | undefined {
  if (images.entries.some(({ name, sizeBytes }) => isUnread(name, sizeBytes))) return undefined;
  try {
    const paths = sharedMappings(imageReader(context, images));
    return paths.map((path) => Buffer.from(path).toString('latin1').replace(/^\/+/, ''));
  } catch (error) {
    // Images are stored whatever is in them; CRIU will say what is wrong with this one.
    if (error instanceof StoreError && error.code === 'INVALID_IMAGE') return undefined;
    throw error;
  }
}

/** Whether an image is too large to be read that says what is mapped. */
function isUnread(name: Uint8Array, sizeBytes: number): boolean {
  const text = Buffer.from(name).toString();
  return sizeBytes > MAX_IMAGE_BYTES && /^(mm-.*|pstree|files|reg-files)\.img$/.test(text);
}

/** Lanes of the thread that plans, and of the one that helps it. */
const PLANNER = 0;
const HELPER = 1;

/** Finds out how the files are stored, which takes a walk through all of them. */
export async function openFiles(
  context: StoreContext,
  request: FilesRequest,
): Promise<CapturedFiles> {
  const { origin, acceptChanges, startedAtMs } = request;
  const base = storedTree(context, request);
  const needs = { fresh: request.base?.hasChanged };
  const planned = await withCrew(context, needs, async (crew) => {
    const isHelped = origin.kind === 'directory' && context.threads.workers > 1;
    const lookout = isHelped ? newLookout() : undefined;
    const toPlan = { from: origin, base, startedAtMs, acceptChanges, lookout };
    const plan = crew.run('planFiles', toPlan, PLANNER);
    if (lookout === undefined) return await plan;
    // Whatever became of the plan: the helper would wait for ever.
    const ended = plan.finally(() => {
      endLookout(lookout);
    });
    const [result] = await Promise.all([ended, crew.run('lookOut', lookout, HELPER)]);
    return result;
  });
  return { entries: entriesOf(planned), facts: planned.facts };
}

function storedTree(
  context: StoreContext,
  { base, isTrusting }: FilesRequest,
): StoredTreeRequest | undefined {
  const snapshot = base?.snapshot;
  const tree = snapshot?.files.find(({ role }) => role === 'tree');
  const files = snapshot?.files.find(({ role }) => role === 'files');
  if (snapshot === undefined || tree === undefined || files === undefined) return undefined;
  const { row, manifest } = snapshot;
  return {
    snapshotId: manifest.snapshotId,
    file: context.layout.packFile(row.packName),
    requests: [...readRequests(row.id, tree, undefined)],
    sizeBytes: tree.content.sizeBytes,
    treeRuns: tree.content.addresses as SpaceRuns,
    fileRuns: files.content.addresses as SpaceRuns,
    facts: isTrusting ? findFacts(context, row.timelineName, row.id) : undefined,
  };
}

function entriesOf(planned: PlannedFiles): CaptureEntry[] {
  const { tree, treeInherited, runs, pageCount, inherited, contents } = planned;
  const treePages = tree.bytes.length / PAGE_BYTES;
  const common = { name: new Uint8Array(0), kind: 'file', mode: 0 } as const;
  const treeEntry: CaptureEntry = {
    ...common,
    role: 'tree',
    sizeBytes: tree.bytes.length,
    space: { name: 'tree', pageCount: treePages, ...tree.runs },
    source: { kind: 'bytes', bytes: tree.bytes },
    inherited: withoutOrigin(treeInherited),
  };
  const filesEntry: CaptureEntry = {
    ...common,
    role: 'files',
    sizeBytes: pageCount * PAGE_BYTES,
    space: { name: 'files', pageCount, ...runs },
    source: contents,
    inherited: withoutOrigin(inherited),
  };
  return [treeEntry, filesEntry];
}

/** Runs of which nobody asks where in the base they are: at the same pages. */
function withoutOrigin(runs: InheritedRuns): CaptureEntry['inherited'] {
  const { length } = runs.start;
  return length === 0 ? undefined : { ...runs, parentPage: new Float64Array(length) };
}
