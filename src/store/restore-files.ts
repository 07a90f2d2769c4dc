/**
 * Restores the container's files: the tree is put in place with empty files, worker threads fill
 * them, and then everything gets its owner, attributes, mode and times, directories last. It is all
 * made in a private directory beside the target, which takes the target's name at the end.
 *
 * What belongs to the host is not in the snapshot: its paths are recorded, and the caller says what
 * is put there.
 */
import { StoreError, storageError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { readUpTo, writeAll } from '../files/transfer.ts';
import { NO_EXTENTS, type TreeEntry } from '../tree/body.ts';
import { ContentsBuilder } from '../tree/contents-of.ts';
import type { TreeContents } from '../tree/contents.ts';
import type { Crew } from '../slices/threads.ts';
import type { Skipped } from '../upper/skipped.ts';
import { TreeTarget } from '../upper/tree-target.ts';
import { FILES_PREFIX } from './capture-files.ts';
import { pathBelowRoot } from './capture-source.ts';
import type { MissingList } from './missing-pages.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { readRequests, runRead } from './read-requests.ts';
import type { RestoreTarget } from './restore-target.ts';
import type { StoredSnapshot } from './snapshot-pages.ts';
import { readTree, type SnapshotTree } from './stored-tree.ts';
import { TaskWindow } from './task-window.ts';

/** What is put where a file of the host was: bytes, or what is in a file. */
export type HostFile = Uint8Array | { readonly file: string };

/** What a restore of the container's files takes. */
export interface RestoreFilesOptions {
  /** Where the container's files go: absent, or an empty directory. */
  readonly files?: string | undefined;
  /**
   * What to put in place of files of another host, by absolute path in the container: at paths that
   * were left out, and at those where the snapshot has a file or a link, as one that was imported
   * may. More names of such a file are names of what is put there. Paths where the snapshot has
   * nothing, a directory or anything else are passed over.
   */
  readonly hostFiles?: Readonly<Record<string, HostFile>> | undefined;
  /**
   * Whether all rights are needed that the files take (owners, devices, attributes: root's), or
   * what they do not suffice for is left out and listed. Needed by default.
   */
  readonly privileges?: 'require' | 'skip' | undefined;
}

/** What a restore of the container's files did. */
export interface RestoredFiles {
  /** Bytes of the files, holes included. */
  readonly bytes: number;
  /** What was left out for want of rights, and sockets, which processes make: the first 10,000. */
  readonly skipped: readonly Skipped[];
  /** How many there are of them all. */
  readonly skippedCount: number;
  /** Paths of the host's files that were left out at capture and are still missing. */
  readonly missingHostFiles: readonly string[];
}

/** What the files of a restore are made with. */
export interface RestoreFilesWork {
  readonly crew: Crew;
  readonly pacer: Pacer;
  readonly target: RestoreTarget;
  readonly onBytes: (bytes: number) => void;
  /** Whether pages that are lost become zeros, and where they are listed. */
  readonly partial: boolean;
  readonly missing: MissingList;
}

/** @throws StoreError NOT_FOUND for a snapshot without files. */
export async function openTree(
  context: StoreContext,
  snapshot: StoredSnapshot,
  pacer: Pacer,
): Promise<SnapshotTree> {
  const tree = await readTree(context, snapshot, pacer);
  if (tree !== undefined) return tree;
  const message = 'the snapshot has no files: they were not captured';
  throw new StoreError('NOT_FOUND', message, { snapshot: snapshot.row.id });
}

/** Checks what the caller maps, before anything is written. @throws TypeError, RangeError. */
export function checkHostFiles({ hostFiles = {} }: RestoreFilesOptions): Map<string, HostFile> {
  return new Map(
    Object.entries(hostFiles).map(([path, source]) => {
      if (!isHostFile(source)) {
        throw new TypeError(`what is put at '${path}' is neither bytes nor a file`);
      }
      return [pathBelowRoot(path), source];
    }),
  );
}

function isHostFile(source: unknown): source is HostFile {
  if (source instanceof Uint8Array) return true;
  if (typeof source !== 'object' || source === null) return false;
  return 'file' in source && typeof source.file === 'string';
}

const PRIVILEGES: readonly unknown[] = ['require', 'skip', undefined];

/** @throws RangeError. */
export function checkPrivileges({ privileges }: RestoreFilesOptions): void {
  if (PRIVILEGES.includes(privileges)) return;
  throw new RangeError(`privileges are 'require' or 'skip', not '${String(privileges)}'`);
}

/** Makes all files of a snapshot in the directory of the target. */
export async function restoreFiles(
  context: StoreContext,
  { snapshot, tree }: { readonly snapshot: StoredSnapshot; readonly tree: SnapshotTree },
  work: RestoreFilesWork,
  options: RestoreFilesOptions,
): Promise<RestoredFiles> {
  const { files } = context;
  const { pacer, target } = work;
  const { privileges = 'require' } = options;
  const rootPath = target.root;
  const rootFd = files.open(rootPath, 'directory');
  const made = new TreeTarget({ files, rootFd, rootPath, privileges });
  const nodes = new NodesToPlace(files, tree, checkHostFiles(options));
  try {
    const contents = new ContentsBuilder();
    for (const node of nodes) {
      await pacer.pause();
      putNode(made, node, contents);
    }
    nodes.writeHostFiles(made);
    await fillFiles(snapshot, tree, contents.finish(tree.runs, rootPath), work);
    for (const node of nodes) {
      await pacer.pause();
      made.finish(node);
    }
    while (made.finishDirectory()) await pacer.pause();
    const { bytes, missingHostFiles } = nodes;
    const { named: skipped, count: skippedCount } = made.skipped;
    return { bytes, skipped, skippedCount, missingHostFiles };
  } finally {
    made.close();
    files.close(rootFd);
  }
}

/** What a file of the caller's host takes the place of. */
const REPLACED: ReadonlySet<TreeEntry['kind']> = new Set<TreeEntry['kind']>([
  'host',
  'file',
  'link',
  'hard',
]);

/** A link has all rights, which the file that is put in its place must not have. */
const MODE_INSTEAD_OF_LINK = 0o644;

/** Attributes are those of what is replaced: such as what a program may do. */
function instead(node: TreeEntry, sizeBytes: number): TreeEntry {
  const mode = node.kind === 'link' ? MODE_INSTEAD_OF_LINK : node.mode;
  const nothing = { dataRuns: undefined, target: undefined, xattrs: [], extents: NO_EXTENTS };
  return { ...node, ...nothing, kind: 'file', mode, sizeBytes };
}

/** The nodes that are put in place: those of the tree, and in their places those of the host. */
class NodesToPlace {
  /** Bytes of all files. */
  bytes = 0;
  readonly missingHostFiles: string[] = [];
  readonly #files: Files;
  readonly #tree: SnapshotTree;
  readonly #hostFiles: ReadonlyMap<string, HostFile>;
  readonly #found = new Map<string, { readonly path: Uint8Array; readonly bytes: Uint8Array }>();
  #isKnown = false;

  constructor(files: Files, tree: SnapshotTree, hostFiles: ReadonlyMap<string, HostFile>) {
    this.#files = files;
    this.#tree = tree;
    this.#hostFiles = hostFiles;
  }

  *[Symbol.iterator](): Generator<TreeEntry> {
    for (const node of nodesBelow(this.#tree, FILES_PREFIX)) {
      const placed = REPLACED.has(node.kind) ? this.#ofHost(node) : node;
      if (placed === undefined) continue;
      if (!this.#isKnown) this.bytes += placed.sizeBytes;
      yield placed;
    }
    this.#isKnown = true;
  }

  #ofHost(node: TreeEntry): TreeEntry | undefined {
    const key = Buffer.from(node.path).toString('latin1');
    const source = this.#hostFiles.get(key);
    if (source === undefined) {
      if (node.kind !== 'host') return node;
      if (!this.#isKnown) this.missingHostFiles.push(`/${Buffer.from(node.path).toString()}`);
      return undefined;
    }
    const known = this.#found.get(key)?.bytes;
    const read = () => (source instanceof Uint8Array ? source : readHostFile(this.#files, source));
    const bytes = known ?? read();
    this.#found.set(key, { path: node.path, bytes });
    return instead(node, bytes.length);
  }

  /** Fills the files of the host. */
  writeHostFiles(made: TreeTarget): void {
    for (const { path, bytes } of this.#found.values()) {
      const fd = made.openFile(path);
      try {
        writeAll(this.#files, fd, bytes, 0);
      } catch (cause) {
        throw storageError('write', Buffer.from(path).toString(), cause);
      } finally {
        this.#files.close(fd);
      }
    }
  }
}

/**
 * The nodes of one directory of a tree, with paths below it.
 *
 * @throws StoreError CORRUPT for one more name of a file that is not below it.
 */
export function* nodesBelow(
  { tree }: Pick<SnapshotTree, 'tree'>,
  directory: string,
): Generator<TreeEntry> {
  const prefix = Buffer.from(`${directory}/`);
  const cursor = tree.cursor();
  while (cursor.next()) {
    const path = Buffer.from(cursor.path);
    const isRoot = path.equals(prefix.subarray(0, -1));
    if (!isRoot && !isWithin(path, prefix)) continue;
    const { target, ...body } = cursor.body;
    const below = path.subarray(prefix.length);
    const isHard = body.kind === 'hard' && target !== undefined;
    if (isHard && !isWithin(target, prefix)) {
      const file = path.toString();
      throw new StoreError('CORRUPT', 'a name of a file elsewhere', { file });
    }
    yield { ...body, path: below, target: isHard ? target.subarray(prefix.length) : target };
  }
}

function isWithin(path: Uint8Array, prefix: Buffer): boolean {
  return prefix.equals(path.subarray(0, prefix.length));
}

function putNode(made: TreeTarget, node: TreeEntry, contents: ContentsBuilder): void {
  if (node.kind === 'directory') made.makeDirectory(node);
  else if (node.kind === 'file') {
    made.makeFile(node);
    if (node.extents.start.length > 0) contents.add(node);
  } else made.makeOther(node);
}

/** Host files are a few lines. */
const MAX_HOST_FILE_BYTES = 16 * 1024 * 1024;

function readHostFile(files: Files, { file: path }: { readonly file: string }): Uint8Array {
  try {
    const fd = files.open(files.realpath(path), 'read');
    try {
      const { sizeBytes } = files.stat(fd);
      if (sizeBytes > MAX_HOST_FILE_BYTES) {
        throw new RangeError(`${path} has more than ${MAX_HOST_FILE_BYTES} bytes`);
      }
      const bytes = new Uint8Array(sizeBytes);
      return bytes.subarray(0, readUpTo(files, fd, bytes, 0));
    } finally {
      files.close(fd);
    }
  } catch (cause) {
    throw storageError('read', path, cause);
  }
}

async function fillFiles(
  { row }: StoredSnapshot,
  { files }: SnapshotTree,
  contents: TreeContents,
  { crew, pacer, onBytes, partial, missing }: RestoreFilesWork,
): Promise<void> {
  const tasks = new TaskWindow(2 * crew.width);
  try {
    for (const request of readRequests(row.id, files, undefined, partial)) {
      await pacer.pause();
      const toWrite = { ...request, contents };
      const reading = runRead(crew, toWrite).then((lost) => {
        missing.add(files, request.offset, lost);
        onBytes(request.bytes);
      });
      await tasks.add(reading);
    }
    await tasks.end();
  } finally {
    await tasks.settle();
  }
  await crew.runEverywhere('closeTargets');
}
