/**
 * What a snapshot keeps of a path that was walked. What is found besides the facts counts only if
 * the path still has the same facts afterwards, so nobody can lend the attributes of one file to
 * another by exchanging them.
 */
import { storageError, StoreError, systemCode } from '../errors.ts';
import type { ByteRun, Files, FileXattr } from '../files/files.ts';
import type { DataRuns, TreeNode } from '../tree/entry.ts';
import type { WalkedNode } from './walk.ts';

const PAGE_BYTES = 4096;
const NS_PER_SECOND = 1_000_000_000n;

/** What is read of a node besides its facts. */
export interface NodeOptions {
  /** Whether extended attributes are wanted; without, a node has none. */
  readonly readXattrs: boolean;
}

/**
 * The node that stands at a walked path, read before the walk goes on. Whether it is one more name
 * of a file is for the caller to see, by inode and `linkCount`: the kind is never `hard`.
 *
 * Whoever reads the content of a file too opens it with `openRegular`, and compares the facts of
 * what is open with these.
 *
 * @throws StoreError INCOMPLETE when the path changes meanwhile, UNSUPPORTED_IMAGE, STORAGE.
 */
export function nodeOf(files: Files, walked: WalkedNode, options: NodeOptions): TreeNode {
  const { path, facts } = walked;
  const { type } = facts;
  if (!Number.isSafeInteger(facts.sizeBytes)) {
    throw refuse('UNSUPPORTED_IMAGE', 'a file of more than 2 ** 53 bytes', walked);
  }
  const second = floorSeconds(facts.modifiedNs);
  if (!Number.isSafeInteger(Number(second))) {
    throw refuse('UNSUPPORTED_IMAGE', 'a time of more than 2 ** 53 seconds', walked);
  }
  try {
    const more = readMore(files, walked, options);
    // Not for a file without any: 4.5 us for each path, and there is nothing to lend.
    if (more !== NOTHING_MORE) confirm(files, walked);
    return {
      path,
      kind: type,
      mode: facts.mode,
      uid: facts.uid,
      gid: facts.gid,
      modifiedSeconds: Number(second),
      modifiedNanoseconds: Number(facts.modifiedNs - second * NS_PER_SECOND),
      sizeBytes: type === 'file' ? facts.sizeBytes : 0,
      deviceMajor: facts.deviceMajor,
      deviceMinor: facts.deviceMinor,
      ...more,
    };
  } catch (error) {
    throw explain(error, walked);
  }
}

/** What takes calls of its own. */
type MoreFacts = Pick<TreeNode, 'xattrs' | 'target' | 'dataRuns'>;

const NOTHING_MORE: MoreFacts = { xattrs: [], target: undefined, dataRuns: undefined };

function readMore(files: Files, walked: WalkedNode, { readXattrs }: NodeOptions): MoreFacts {
  const { facts, handle } = walked;
  const xattrs: readonly FileXattr[] = readXattrs ? files.xattrs(handle) : [];
  if (facts.type === 'link') {
    return { xattrs, target: new Uint8Array(files.readlink(handle)), dataRuns: undefined };
  }
  const dataRuns =
    facts.type === 'file' && facts.allocatedBytes < facts.sizeBytes
      ? findData(files, walked)
      : undefined;
  if (xattrs.length === 0 && dataRuns === undefined) return NOTHING_MORE;
  return { xattrs, target: undefined, dataRuns };
}

function findData(files: Files, walked: WalkedNode): DataRuns | undefined {
  const { sizeBytes, inode } = walked.facts;
  const fd = files.openRegular(walked.handle);
  try {
    if (files.inspectOpen(fd).inode !== inode) throw changed(walked);
    return pagesOf(files.dataRuns(fd, sizeBytes), sizeBytes);
  } finally {
    files.close(fd);
  }
}

/** Runs of bytes as runs of pages; undefined when they are all pages of the file. */
export function pagesOf(runs: readonly ByteRun[], sizeBytes: number): DataRuns | undefined {
  const start: number[] = [];
  const length: number[] = [];
  // Where the last run ends.
  let last = -1;
  for (const run of runs) {
    const first = Math.floor(run.start / PAGE_BYTES);
    const end = Math.ceil(run.end / PAGE_BYTES);
    if (end <= last) continue;
    if (first <= last) length.push(length.pop()! + end - last);
    else {
      start.push(first);
      length.push(end - first);
    }
    last = end;
  }
  if (start[0] === 0 && length[0] === Math.ceil(sizeBytes / PAGE_BYTES)) return undefined;
  return { start: Float64Array.from(start), length: Float64Array.from(length) };
}

/** A directory may get and lose names meanwhile; its inode stays the same. */
function confirm(files: Files, walked: WalkedNode): void {
  const { facts, handle } = walked;
  const now = files.inspect(handle);
  const isSame = now.inode === facts.inode && now.type === facts.type;
  if (isSame && (facts.type === 'directory' || now.changedNs === facts.changedNs)) return;
  throw changed(walked);
}

function floorSeconds(nanoseconds: bigint): bigint {
  const second = nanoseconds / NS_PER_SECOND;
  return second * NS_PER_SECOND > nanoseconds ? second - 1n : second;
}

/** EINVAL: no link any more, or no regular file. */
const CHANGED_CODES: readonly unknown[] = ['ENOENT', 'EINVAL', 'ELOOP', 'ENOTDIR'];

function explain(error: unknown, walked: WalkedNode): StoreError {
  if (error instanceof StoreError) {
    return error.file === undefined ? refuse(error.code, error.summary, walked) : error;
  }
  if (CHANGED_CODES.includes(systemCode(error))) return changed(walked, error);
  return storageError('read', textOf(walked), error);
}

function changed(walked: WalkedNode, cause?: unknown): StoreError {
  return refuse('INCOMPLETE', 'changed while it was read', walked, cause);
}

function refuse(
  code: StoreError['code'],
  message: string,
  walked: WalkedNode,
  cause?: unknown,
): StoreError {
  return new StoreError(code, message, { file: textOf(walked), cause });
}

function textOf({ path }: WalkedNode): string {
  return path.length === 0 ? '.' : Buffer.from(path).toString();
}
