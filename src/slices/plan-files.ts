/**
 * Plans how the container's files are stored: walks the overlay's upper directory, or takes the
 * nodes of an archive, and merges them with the tree of the base. A task for a worker, because a
 * hundred thousand paths take half a second; it is loaded only where it runs.
 */
import { isDamage, StoreError, storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import type { ContentPlace, TreeContents } from '../tree/contents.ts';
import { comparePaths, type SourceNode, type TreeNode } from '../tree/entry.ts';
import { StoredFacts, type PathFacts } from '../tree/path-facts.ts';
import { planTree, type PlanBase, type PlanStep, type TreePlan } from '../tree/plan.ts';
import { StoredTree } from '../tree/tree.ts';
import { nodeOf } from '../upper/node.ts';
import { walkTree, type WalkedNode } from '../upper/walk.ts';
import { LEAF_BYTES, readLeaf } from './read.ts';
import type { Session } from './session.ts';
import type { FilesOrigin, PlanFilesRequest, StoredTreeRequest } from './tasks.ts';

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
      return planTree(stepsOf(session.files, request), openBase(session, base));
    } catch (error) {
      const isUnknown = error instanceof StoreError && error.code === 'UNSUPPORTED_VERSION';
      if (!isUnknown && !isDamage(error)) throw error;
    }
  }
  return planTree(stepsOf(session.files, request), undefined);
}

function stepsOf(files: Files, request: PlanFilesRequest): Iterable<PlanStep> {
  const { from } = request;
  return from.kind === 'nodes' ? stepsOfNodes(from.nodes) : stepsOfWalk(files, request);
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

function* stepsOfWalk(files: Files, request: PlanFilesRequest): Generator<PlanStep> {
  const { from, startedAtMs } = request;
  if (from.kind !== 'directory') return;
  const settledBeforeNs = BigInt(startedAtMs) * NS_OF_MS - SETTLING_NS;
  const step = new WalkStep(files, from, { settledBeforeNs, mayVanish: request.acceptChanges });
  const walking = { mayVanish: request.acceptChanges, lookout: request.lookout };
  for (const walked of walkTree(files, from.root, walking)) {
    step.goTo(walked);
    yield step;
  }
}

/**
 * The path that a walk is at, and what is known from those before. One for all of them: objects for
 * each of 100,000 paths, most of which have not changed, took as long as their comparison.
 */
class WalkStep implements PlanStep {
  facts: PathFacts | undefined;
  isSettled = false;
  hasOtherNames = false;
  #isHostFile = false;
  #walked: WalkedNode | undefined;
  #path: Uint8Array | undefined;
  readonly #files: Files;
  readonly #root: string;
  readonly #mayVanish: boolean;
  readonly #prefix: Buffer;
  /** The same and the '/' after it, as latin1. */
  readonly #before: string;
  readonly #hostFiles: PathSet;
  /** Undefined where it may be any file. */
  readonly #mappedFiles: PathSet | undefined;
  readonly #settledBeforeNs: bigint;
  /** The first name of each file that has several. */
  readonly #firstNames = new Map<string, Uint8Array>();

  constructor(
    files: Files,
    { root, prefix, hostFiles, mappedFiles }: Extract<FilesOrigin, { kind: 'directory' }>,
    { settledBeforeNs, mayVanish }: { settledBeforeNs: bigint; mayVanish: boolean },
  ) {
    this.#files = files;
    this.#root = root;
    this.#mayVanish = mayVanish;
    this.#prefix = Buffer.from(prefix);
    this.#before = `${this.#prefix.toString('latin1')}/`;
    this.#hostFiles = new PathSet(hostFiles);
    this.#mappedFiles = mappedFiles && new PathSet(mappedFiles);
    this.#settledBeforeNs = settledBeforeNs;
  }

  goTo(walked: WalkedNode): void {
    const { facts } = walked;
    this.#walked = walked;
    this.#path = undefined;
    this.#isHostFile = this.#hostFiles.has(walked) && HOST_TYPES.has(facts.type);
    this.hasOtherNames = facts.linkCount > 1 && facts.type !== 'directory';
    // Under another name, it may be one of them: which is not known before all are walked.
    const isMapped =
      this.#mappedFiles === undefined ||
      this.#mappedFiles.has(walked) ||
      (this.hasOtherNames && this.#mappedFiles.size > 0);
    // What is left out is looked at again: the list may be another one next time.
    this.facts = isMapped || this.#isHostFile ? undefined : facts;
    this.isSettled = facts.changedNs < this.#settledBeforeNs;
  }

  get path(): Uint8Array {
    this.#path ??= joined(this.#prefix, (this.#walked as WalkedNode).path);
    return this.#path;
  }

  compare(path: Uint8Array): number {
    const { directory, name } = this.#walked as WalkedNode;
    // Mostly they are the same: then this one's bytes need not be put together.
    const start = this.#prefix.length + 1;
    const isSame =
      path.length === start + directory.length + name.length &&
      hasText(path, start + directory.length, name) &&
      hasText(path, start, directory) &&
      hasText(path, 0, this.#before);
    return isSame ? 0 : comparePaths(path, this.path);
  }

  read(): TreeNode | undefined {
    const walked = this.#walked as WalkedNode;
    const found = this.#nodeOf(walked);
    if (found === undefined) return undefined;
    const node = { ...found, path: this.path };
    if (this.#isHostFile) return leftOut(node);
    const { device, inode } = walked.facts;
    return this.hasOtherNames ? this.#named(node, `${device}:${inode}`) : node;
  }

  #nodeOf(walked: WalkedNode): TreeNode | undefined {
    try {
      return nodeOf(this.#files, walked, { readXattrs: true });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const { code, summary, cause } = error;
      if (code === 'INCOMPLETE' && this.#mayVanish) return undefined;
      const file = `${this.#root}/${Buffer.from(walked.path).toString()}`;
      throw new StoreError(code, summary, { file, cause });
    }
  }

  /** The first name is the file; every other one is a link to it. */
  #named(node: TreeNode, inode: string): TreeNode {
    const target = this.#firstNames.get(inode);
    if (target === undefined) {
      this.#firstNames.set(inode, node.path);
      return node;
    }
    return { ...node, kind: 'hard', target, sizeBytes: 0, dataRuns: undefined, xattrs: [] };
  }

  content(): ContentPlace {
    const { path, facts } = this.#walked as WalkedNode;
    return { path, offsetBytes: 0, facts };
  }
}

/** A few paths, each byte a character: most others are told from them by their lengths. */
class PathSet {
  readonly #paths: ReadonlySet<string>;
  readonly #lengths: ReadonlySet<number>;

  constructor(paths: readonly string[]) {
    this.#paths = new Set(paths);
    this.#lengths = new Set(paths.map(({ length }) => length));
  }

  get size(): number {
    return this.#paths.size;
  }

  has({ directory, name }: WalkedNode): boolean {
    if (!this.#lengths.has(directory.length + name.length)) return false;
    return this.#paths.has(directory + name);
  }
}

/** Whiteouts and directories at the names of host files are the container's. */
const HOST_TYPES: ReadonlySet<string> = new Set(['file', 'link']);

/** A link has all rights, which the file that is put in its place must not have. */
const MODE_INSTEAD_OF_LINK = 0o644;

function leftOut(node: TreeNode): TreeNode {
  const nothing = { sizeBytes: 0, dataRuns: undefined, target: undefined, xattrs: [] };
  const mode = node.kind === 'link' ? MODE_INSTEAD_OF_LINK : node.mode;
  return { ...node, ...nothing, mode, kind: 'host' };
}

/** Whether a text of latin1 is at a place of a path. */
function hasText(path: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (path[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

function joined(prefix: Buffer, path: Uint8Array): Uint8Array {
  if (path.length === 0) return prefix;
  const whole = new Uint8Array(prefix.length + 1 + path.length);
  whole.set(prefix);
  whole[prefix.length] = SLASH;
  whole.set(path, prefix.length + 1);
  return whole;
}

const SLASH = 0x2f;
