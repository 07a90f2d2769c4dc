/**
 * Plans how the container's files are stored: walks the overlay's upper directory, or takes the
 * nodes of an archive, and merges them with the tree of the base. A task for a worker, because a
 * hundred thousand paths take half a second; it is loaded only where it runs.
 */
import { isDamage, StoreError, storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import type { TreeContents } from '../tree/contents.ts';
import { comparePaths, type SourceNode } from '../tree/entry.ts';
import { StoredFacts } from '../tree/path-facts.ts';
import {
  planTree,
  type PassOver,
  type PlanBase,
  type PlanStep,
  type TreePlan,
} from '../tree/plan.ts';
import { StoredTree } from '../tree/tree.ts';
import { walkTree, type WalkOptions } from '../upper/walk.ts';
import { LEAF_BYTES } from './leaf-buffer.ts';
import { readLeaf } from './read.ts';
import type { Session } from './session.ts';
import type { PlanFilesRequest, StoredTreeRequest } from './tasks.ts';
import { WalkStep } from './walk-step.ts';

/** What the container's files are stored as. */
export interface PlannedFiles extends Omit<TreePlan, 'contents'> {
  readonly contents: TreeContents;
}

/** Beyond so many files, one sync of the whole file system is cheaper than one for each. */
const FILES_TO_SYNC_ONE_BY_ONE = 1000;
/** Time stamps as young as this may not move when the file changes once more. */
const SETTLING_NS = 2_000_000_000n;
const NS_OF_MS = 1_000_000n;

/** Walks and plans. */
export function planFiles(session: Session, request: PlanFilesRequest): PlannedFiles {
  const plan = planWithBase(session, request);
  const contents = { ...plan.contents, ...howToRead(session.files, request, plan) };
  return { ...plan, contents };
}

/** A base that cannot be read is no base: then everything is read, and stored as if it were new. */
function planWithBase(session: Session, request: PlanFilesRequest): TreePlan {
  const { base } = request;
  if (base !== undefined) {
    try {
      const steps = (passOver: PassOver) => stepsOf(session.files, request, passOver);
      return planTree(steps, openBase(session, base));
    } catch (error) {
      const isUnknown = error instanceof StoreError && error.code === 'UNSUPPORTED_VERSION';
      if (!isUnknown && !isDamage(error)) throw error;
    }
  }
  return planTree(stepsOf(session.files, request, undefined), undefined);
}

function stepsOf(
  files: Files,
  request: PlanFilesRequest,
  passOver: PassOver | undefined,
): Iterable<PlanStep> {
  const { from } = request;
  return from.kind === 'nodes' ? stepsOfNodes(from.nodes) : stepsOfWalk(files, request, passOver);
}

function howToRead(
  files: Files,
  { from, acceptChanges }: PlanFilesRequest,
  { readCount }: TreePlan,
): Pick<TreeContents, 'kind' | 'root' | 'acceptChanges' | 'syncFiles'> {
  if (from.kind === 'nodes') {
    return { kind: 'tree', root: undefined, acceptChanges, syncFiles: false };
  }
  const syncFiles = readCount <= FILES_TO_SYNC_ONE_BY_ONE;
  // A dirty page of a mapped file changes again without a trace in the file's times, until it has
  // been written back once. So that is done before anything is read that is trusted later.
  if (!syncFiles) syncAll(files, from.root);
  return { kind: 'tree', root: from.root, acceptChanges, syncFiles };
}

function syncAll(files: Files, root: string): void {
  try {
    const fd = files.open(root, 'directory');
    try {
      files.syncFileSystem(fd);
    } finally {
      files.close(fd);
    }
  } catch (cause) {
    throw storageError('sync', root, cause);
  }
}

function openBase(session: Session, base: StoredTreeRequest): PlanBase {
  const tree = new StoredTree(readStored(session, base), base.treeRuns, base.file);
  const { treeRuns, fileRuns } = base;
  return { tree, treeRuns, fileRuns, facts: openFacts(session.files, base) };
}

function readStored(session: Session, { requests, sizeBytes }: StoredTreeRequest): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (const request of requests) {
    for (let offset = 0; offset < request.bytes; offset += LEAF_BYTES) {
      bytes.set(readLeaf(session, request, offset / LEAF_BYTES), request.offset + offset);
    }
  }
  return bytes;
}

function openFacts(files: Files, base: StoredTreeRequest): StoredFacts | undefined {
  if (base.facts === undefined) return undefined;
  try {
    const fd = files.open(base.facts, 'read');
    try {
      const bytes = new Uint8Array(files.stat(fd).sizeBytes);
      files.read(fd, bytes, 0);
      return StoredFacts.open(bytes, base.snapshotId);
    } finally {
      files.close(fd);
    }
  } catch {
    // A cache: without it, everything is read.
    return undefined;
  }
}

function* stepsOfNodes(nodes: readonly SourceNode[]): Generator<PlanStep> {
  for (const { content, ...node } of nodes) {
    yield {
      path: node.path,
      compare: (path) => comparePaths(path, node.path),
      facts: undefined,
      isSettled: false,
      hasOtherNames: false,
      read: () => node,
      content: () => {
        if (content === undefined) throw new TypeError('a file without content');
        const path = Buffer.from(content.path);
        return { path, offsetBytes: content.offset, facts: undefined };
      },
    };
  }
}

function* stepsOfWalk(
  files: Files,
  request: PlanFilesRequest,
  passOver: PassOver | undefined,
): Generator<PlanStep> {
  const { from, startedAtMs } = request;
  if (from.kind !== 'directory') return;
  const settledBeforeNs = BigInt(startedAtMs) * NS_OF_MS - SETTLING_NS;
  const step = new WalkStep(files, from, { settledBeforeNs, mayVanish: request.acceptChanges });
  const walking: WalkOptions = {
    mayVanish: request.acceptChanges,
    lookout: request.lookout,
    passOver: passOver && ((run) => step.passOver(run, passOver)),
  };
  for (const walked of walkTree(files, from.root, walking)) {
    step.goTo(walked);
    yield step;
  }
}
