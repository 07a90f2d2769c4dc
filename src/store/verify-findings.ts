/**
 * What a verification has found: problems, each once, by packs and by snapshots. Everything is
 * counted, and a bounded part of it kept: a disk that is gone must not fill the memory.
 */
import { basename } from 'node:path';
import { StoreError, type StoreErrorCode } from '../errors.ts';

/** Something that is not as it was written. */
export interface VerifyProblem {
  readonly code: StoreErrorCode;
  readonly message: string;
  readonly file: string | undefined;
  readonly offset: number | undefined;
  /** Id of the snapshot that is damaged by it, where one was being read. */
  readonly snapshot: string | undefined;
}

/** A pack that is not as it was written. */
export interface DamagedPack {
  readonly name: string;
  /** Path. */
  readonly file: string;
  /** What is wrong with it: the first 16 things. */
  readonly problems: readonly string[];
  /** How many things are wrong with it. */
  readonly problemCount: number;
}

const PACK_SUFFIX = '.pack';
const MAX_PROBLEMS = 10_000;
const MAX_PROBLEMS_OF_PACK = 16;

/** Collects what is found. */
export class Findings {
  readonly problems: VerifyProblem[] = [];
  problemCount = 0;
  readonly #keys = new Set<string>();
  readonly #packs = new Map<string, { readonly problems: string[]; count: number }>();

  /** Takes damage; anything else is thrown on. */
  add(error: unknown, snapshot?: string): void {
    // What names no file is not about the store: a worker that stopped, for one.
    if (!(error instanceof StoreError) || error.file === undefined) throw error;
    const { code, message, file, offset } = error;
    const problem = { code, message, file, offset, snapshot: error.snapshot ?? snapshot };
    // Many files of a snapshot may need the same lost frame: once is enough.
    const key = `${problem.snapshot ?? ''} ${message}`;
    if (this.#keys.has(key)) return;
    this.problemCount += 1;
    if (this.problems.length < MAX_PROBLEMS) {
      this.#keys.add(key);
      this.problems.push(problem);
    }
    if (file.endsWith(PACK_SUFFIX)) this.notePack(file, error.summary);
  }

  /** Says what is wrong with a pack. */
  notePack(file: string, what: string): void {
    const known = this.#packs.get(file);
    const entry = known ?? { problems: [], count: 0 };
    if (known === undefined) this.#packs.set(file, entry);
    // Said of one snapshot after the other.
    if (entry.problems.includes(what)) return;
    entry.count += 1;
    if (entry.problems.length < MAX_PROBLEMS_OF_PACK) entry.problems.push(what);
  }

  /** Runs one check; what it finds goes on the list. */
  collect<T>(check: () => T, snapshot?: string): T | undefined {
    try {
      return check();
    } catch (error) {
      this.add(error, snapshot);
      return undefined;
    }
  }

  /** The same for a check that takes its time. */
  async collectLater<T>(check: () => Promise<T>, snapshot?: string): Promise<T | undefined> {
    try {
      return await check();
    } catch (error) {
      this.add(error, snapshot);
      return undefined;
    }
  }

  /** The packs that something is wrong with. */
  damagedPacks(): DamagedPack[] {
    return [...this.#packs].map(([file, { problems, count }]) => ({
      name: basename(file, PACK_SUFFIX),
      file,
      problems,
      problemCount: count,
    }));
  }
}
