/**
 * Copies files that belong together while somebody may be writing to them: the copy counts only
 * when none of them changed meanwhile, else it is made again. Used for the catalog and its -wal.
 *
 * A log may have grown meanwhile: what was copied is what it was at some moment, and perhaps a part
 * of what came next, which its own checksums tell from the rest. One that begins anew gets another
 * head (https://www.sqlite.org/fileformat.html#the_write_ahead_log).
 */
import { storageError, StoreError } from '../errors.ts';
import type { FileFacts, Files } from './files.ts';
import { exists, isMissing, readUpTo } from './transfer.ts';

/** One file to copy. */
export interface FileToCopy {
  readonly from: string;
  readonly to: string;
  /** Whether the file may be missing. */
  readonly optional: boolean;
  /** Whether it is only appended to as long as its head stays the same. */
  readonly isLog?: boolean | undefined;
}

/** What is looked at before and after. */
interface Look {
  readonly facts: FileFacts;
  /** Of a log. */
  readonly head: Uint8Array | undefined;
}

/** Why a file could not be copied. */
interface Failure {
  readonly file: string;
  readonly error: unknown;
}

const MAX_ATTEMPTS = 100;
/** One that went and came again within a tick of the clock seems the same: more attempts tell. */
const MAX_FAILURES = 3;
const LOG_HEAD_BYTES = 32;

/**
 * @throws StoreError LOCKED when the files never hold still, CORRUPT when one is missing, STORAGE
 * when one that holds still cannot be copied.
 */
export function copyStable(files: Files, list: readonly FileToCopy[]): void {
  let [failures, failure]: [number, Failure | undefined] = [0, undefined];
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const before = list.map((file) => lookAt(files, file));
    failure = copyAll(files, list, before);
    const after = list.map((file) => lookAt(files, file));
    if (!before.every((look, i) => isSame(look, after[i]))) continue;
    if (failure === undefined) return;
    failures += 1;
    if (failures === MAX_FAILURES) throw storageError('copy', failure.file, failure.error);
  }
  const cause = failure?.error;
  throw new StoreError('LOCKED', 'the file keeps changing', { file: list[0]?.from, cause });
}

function lookAt(files: Files, { from, isLog = false }: FileToCopy): Look | undefined {
  try {
    const facts = files.lstat(from);
    return { facts, head: isLog ? readHead(files, from) : undefined };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** To close a file takes all locks of this process on it away; SQLite has none on its log. */
function readHead(files: Files, path: string): Uint8Array {
  const fd = files.open(path, 'read');
  try {
    const head = new Uint8Array(LOG_HEAD_BYTES);
    return head.subarray(0, readUpTo(files, fd, head, 0));
  } finally {
    files.close(fd);
  }
}

function isSame(before: Look | undefined, after: Look | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const [a, b] = [before.facts, after.facts];
  if (a.inode !== b.inode) return false;
  if (a.sizeBytes === b.sizeBytes && a.modifiedNs === b.modifiedNs) return true;
  const isGrown = b.sizeBytes >= a.sizeBytes && before.head?.length === LOG_HEAD_BYTES;
  return isGrown && after.head !== undefined && Buffer.compare(before.head, after.head) === 0;
}

function copyAll(
  files: Files,
  list: readonly FileToCopy[],
  looks: readonly (Look | undefined)[],
): Failure | undefined {
  for (const [i, file] of list.entries()) {
    if (exists(files, file.to)) files.unlink(file.to);
    if (looks[i] !== undefined) {
      try {
        files.copyApart(file.from, file.to);
      } catch (error) {
        // Perhaps gone since the look at it, and even back by now.
        return { file: file.from, error };
      }
    } else if (!file.optional) {
      throw new StoreError('CORRUPT', 'the file is missing', { file: file.from });
    }
  }
  return undefined;
}
