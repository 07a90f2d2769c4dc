/**
 * The steps of a plan that walks the container's files: which of them are left out, which are one
 * more name of a file, and which must be looked at in any case.
 */
import { StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import type { StatxAnswers } from '../files/statx.ts';
import type { ContentPlace } from '../tree/contents.ts';
import { comparePaths, type TreeNode } from '../tree/entry.ts';
import { FactWords, type PathFacts } from '../tree/path-facts.ts';
import type { PassOver, PlanStep } from '../tree/plan.ts';
import { nodeOf } from '../upper/node.ts';
import type { WalkedNode, WalkedRun } from '../upper/walk.ts';
import type { FilesOrigin } from './tasks.ts';

/**
 * The path that a walk is at, and what is known from those before. One for all of them: objects for
 * each of 100,000 paths, most of which have not changed, took as long as their comparison.
 */
export class WalkStep implements PlanStep {
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
  readonly #words = new FactWords();
  #device: bigint | undefined;
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
    const { directory, name, facts } = walked;
    this.#walked = walked;
    this.#path = undefined;
    this.#isHostFile = this.#hostFiles.has(directory, name) && HOST_TYPES.has(facts.type);
    this.hasOtherNames = facts.linkCount > 1 && facts.type !== 'directory';
    // Under another name, it may be one of them: which is not known before all are walked.
    const isMapped =
      this.#mappedFiles === undefined ||
      this.#mappedFiles.has(directory, name) ||
      (this.hasOtherNames && this.#mappedFiles.size > 0);
    // What is left out is looked at again: the list may be another one next time.
    this.facts = isMapped || this.#isHostFile ? undefined : facts;
    this.isSettled = facts.changedNs < this.#settledBeforeNs;
  }

  /** Passes over what is the same by its facts alone: neither special nor one of several names. */
  passOver({ answers, firstAnswer, ...run }: WalkedRun, passOver: PassOver): number {
    const { directory, names } = run;
    const mapped = this.#mappedFiles;
    if (mapped === undefined) return 0;
    const seconds = this.#settledBeforeNs / NS_PER_SECOND;
    const settledSeconds = Number(seconds);
    const settledNanoseconds = Number(this.#settledBeforeNs - seconds * NS_PER_SECOND);
    const facts = (number: number): FactWords | undefined => {
      const answer = number - firstAnswer;
      if (!answers.isOfOneName(answer)) return undefined;
      const name = names[number] as string;
      if (this.#hostFiles.has(directory, name) || mapped.has(directory, name)) return undefined;
      const second = answers.changedSeconds(answer);
      const nanosecond = answers.changedNanoseconds(answer);
      const isSettled =
        second < settledSeconds || (second === settledSeconds && nanosecond < settledNanoseconds);
      if (!isSettled || second < 0 || second >= MAX_SECONDS) return undefined;
      return this.#wordsOf(answers, answer, second, nanosecond);
    };
    return passOver({ ...run, directory: `${this.#before}${directory}`, facts });
  }

  #wordsOf(answers: StatxAnswers, answer: number, second: number, nanosecond: number): FactWords {
    const words = this.#words;
    const device = answers.device(answer);
    if (device !== this.#device) {
      words.setDevice(Number(device & 0xffffffffn), Number(device >> 32n));
      this.#device = device;
    }
    words.setInode(answers.inodeLow(answer), answers.inodeHigh(answer));
    words.setChanged(second, nanosecond);
    return words;
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

/** Times of the last change that {@link FactWords} take. */
const MAX_SECONDS = 2 ** 32;
const NS_PER_SECOND = 1_000_000_000n;

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

  has(directory: string, name: string): boolean {
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
