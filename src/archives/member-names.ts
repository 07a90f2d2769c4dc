/**
 * Which names of members are safe, and whether members fit together: every path once, nothing
 * below what is no directory, hard links only to files that came before.
 */
import { StoreError } from '../errors.ts';
import type { LimitCounter } from './limits.ts';
import { complaintAbout, fitsBelow } from './member-limits.ts';
import { latin1 } from './pax.ts';
import type { MemberKind, TarMember } from './tar-member.ts';

/** Bytes of a whole path. */
export const PATH_BYTES_MAX = 4096;
/** Bytes of a part of a path. */
export const PART_BYTES_MAX = 255;

const SLASH = 0x2f;
const DOT = 0x2e;
const EMPTY = new Uint8Array(0);

/**
 * The path of a tree that a member's path stands for: without `./` before it and `/` behind it.
 * The empty path is the root. @throws Error that says what is wrong with it.
 */
export function cleanPath(path: Uint8Array, isDirectory: boolean): Uint8Array {
  if (path.length === 0) throw new Error('is empty');
  if (path.length > PATH_BYTES_MAX) throw new Error(`is longer than ${PATH_BYTES_MAX} bytes`);
  if (path.includes(0)) throw new Error('has a NUL');
  if (path[0] === SLASH) throw new Error('is absolute');
  let start = path[0] === DOT && (path.length === 1 || path[1] === SLASH) ? 2 : 0;
  if (path[start] === SLASH) throw new Error('has an empty part');
  let end = path.length;
  if (end > start && path[end - 1] === SLASH) end -= 1;
  start = Math.min(start, end);
  if (end < path.length && !isDirectory) throw new Error('ends with a slash');
  const clean = new Uint8Array(path.subarray(start, end));
  if (clean.length > 0) checkParts(clean);
  else if (!isDirectory) throw new Error('names the root');
  return clean;
}

function checkParts(clean: Uint8Array): void {
  for (const part of latin1(clean).split('/')) {
    if (part === '') throw new Error('has an empty part');
    if (part === '.' || part === '..') throw new Error(`has the part ${part}`);
    if (part.length > PART_BYTES_MAX) throw new Error(`has a part over ${PART_BYTES_MAX} bytes`);
  }
}

/** The name as a reader can bear it: escapes and cuts what an enemy may have put into it. */
export function printableName(path: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(path.subarray(0, 200)).toString('utf8'));
  return path.length > 200 ? `${text}…` : text;
}

/** What is at a path: what a member put there, or a directory that only paths speak of. */
type Occupant = MemberKind | 'implied';

/** What no hard link names; of another hard link, it is the first name that counts. */
const NOT_LINKED: ReadonlySet<Occupant> = new Set<Occupant>(['directory', 'implied', 'hard']);

/** The members of one tar, as far as they have come. */
export class MemberNames {
  readonly #file: string;
  readonly #directory: Uint8Array;
  readonly #counter: LimitCounter;
  /** By path, one character per byte. */
  readonly #occupants = new Map<string, Occupant>();
  /** First names of what has several, by the other ones. */
  readonly #firstNames = new Map<string, Uint8Array>();

  /**
   * @param file the archive, for errors.
   * @param directory where their paths are in the tree.
   */
  constructor(file: string, directory: Uint8Array, counter: LimitCounter) {
    this.#file = file;
    this.#directory = directory;
    this.#counter = counter;
  }

  /** Checks a member and takes its place. Returns its path in the tree. */
  add(member: TarMember): Uint8Array {
    const path = this.#clean(member.path, member);
    if (!fitsBelow(this.#directory, path)) throw this.fail(member, 'has a path that is too long');
    const complaint = complaintAbout(member);
    if (complaint !== undefined) throw this.fail(member, complaint);
    const key = latin1(path);
    const before = this.#occupants.get(key);
    const isTaken = before !== undefined && !(before === 'implied' && isDirectory(member.kind));
    if (isTaken) {
      throw this.fail(member, before === 'implied' ? 'is a directory as well' : 'is there twice');
    }
    if (member.kind === 'link') this.#checkLink(member);
    if (before !== 'implied') this.#counter.addMember(path.length, member.headerBytes);
    if (path.length > 0) this.#addParents(key, member);
    this.#occupants.set(key, member.kind);
    return path;
  }

  /** The first name of what a hard link names: anything but a directory. */
  hardTarget(member: TarMember): Uint8Array {
    const target = member.target ?? EMPTY;
    const path = this.#clean(target, member);
    const key = latin1(path);
    const kind = this.#occupants.get(key);
    const hasOneName = kind !== undefined && !NOT_LINKED.has(kind);
    const first = hasOneName ? path : this.#firstNames.get(key);
    if (first === undefined) {
      const name = printableName(target);
      throw this.fail(member, `is a hard link to ${name}, which is no file before it`);
    }
    this.#firstNames.set(latin1(cleanPath(member.path, false)), first);
    return first;
  }

  /** The error for a member. */
  fail(member: TarMember, complaint: string): StoreError {
    const message = `the member ${printableName(member.path)} ${complaint}`;
    return new StoreError('INVALID_IMAGE', message, { file: this.#file, offset: member.offset });
  }

  // It may say anything that a link can say: it is kept, and followed by nobody here.
  #checkLink(member: TarMember): void {
    const { length } = member.target ?? EMPTY;
    if (length > 0 && length < PATH_BYTES_MAX && !member.target!.includes(0)) return;
    throw this.fail(member, 'is a link to what is no path');
  }

  #clean(path: Uint8Array, member: TarMember): Uint8Array {
    try {
      return cleanPath(path, isDirectory(member.kind));
    } catch (error) {
      throw this.fail(member, (error as Error).message);
    }
  }

  #addParents(key: string, member: TarMember): void {
    let end = key.lastIndexOf('/');
    for (; end > 0; end = key.lastIndexOf('/', end - 1)) {
      const parent = key.slice(0, end);
      const kind = this.#occupants.get(parent);
      if (kind === 'directory' || kind === 'implied') return;
      if (kind !== undefined) {
        throw this.fail(member, `is below ${JSON.stringify(parent)}, a ${kind} and no directory`);
      }
      this.#counter.addMember(parent.length);
      this.#occupants.set(parent, 'implied');
    }
  }
}

function isDirectory(kind: MemberKind): boolean {
  return kind === 'directory';
}
