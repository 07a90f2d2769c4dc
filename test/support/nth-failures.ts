/**
 * Lets the system fail at each call that an operation makes, one after the other, once or from then
 * on, and checks after each failure that the error is clear, that the store is as it was, and that
 * its handle and a new one go on.
 */
import { rmSync } from 'node:fs';
import { expect } from 'vitest';
import { SnapshotStore, StoreError } from '../../src/index.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { type Call, EVERY_CALL, FaultyFiles } from './faulty-files.ts';
import { ImageCheck } from './image-check.ts';
import { makeDump } from './made-dumps.ts';
import { operation, type StoreFacts, type StoreOperation, World } from './store-operations.ts';
import { storeState } from './store-state.ts';

/** An error of the system, and the calls that it may come from. */
export interface SystemFailure {
  readonly code: string;
  readonly calls: readonly Call[];
  readonly isSticky: boolean;
}

const CHANGES: readonly Call[] = ['write', 'sync', 'rename', 'mkdir', 'link', 'open', 'truncate'];
const KINDS: readonly (readonly [string, readonly Call[]])[] = [
  ['ENOSPC', CHANGES],
  ['EIO', EVERY_CALL],
  ['EMFILE', ['open', 'openRegular', 'list', 'entries', 'makeTemporaryDirectory']],
  ['EACCES', [...CHANGES, 'chmod', 'unlink', 'rmdir', 'removeTree', 'list', 'openRegular']],
  ['SHORT', ['write']],
];

/** All failures that are tried, each once and for good. */
export const SYSTEM_FAILURES: readonly SystemFailure[] = KINDS.flatMap(([code, calls]) =>
  [false, true].map((isSticky) => ({ code, calls, isSticky })),
);

/** What was tried, and what was found. */
export interface FailureReport {
  /** Calls that failed. */
  faults: number;
  /** Those of them that the operation did not survive. */
  failures: number;
  readonly complaints: string[];
}

/** Calls that are tried in a run: the `first`, and each `stride`-th after it. */
export interface Sample {
  readonly first: number;
  readonly stride: number;
}

const EVERY: Sample = { first: 1, stride: 1 };

/** A store that holds something of everything, closed: what operations are tried on. */
export async function makeTemplate(newPath: () => string): Promise<World> {
  const world = new World(newPath(), newPath, nodeFiles);
  await world.open();
  for (const name of ['capture', 'capture files', 'capture', 'remove', 'pin']) {
    await operation(name).run(world);
  }
  await world.close();
  return world;
}

/** Lets each call of an operation fail in turn. */
export async function failEveryCall(
  newPath: () => string,
  template: World,
  tried: StoreOperation,
  failure: SystemFailure,
  { first, stride }: Sample = EVERY,
): Promise<FailureReport> {
  const report: FailureReport = { faults: 0, failures: 0, complaints: [] };
  const check = new ImageCheck(newPath, makeDump(newPath(), 99, 4));
  const prepared = await prepareFor(tried, template, newPath());
  const done = await factsWhenDone(prepared, newPath(), tried);
  for (let nth = first; ; nth += stride) {
    const directory = newPath();
    const attempt = new Attempt(prepared, directory, check);
    const failed = await attempt.run(tried, failure, nth);
    try {
      if (failed === undefined) await attempt.end();
      else await attempt.check(tried, failure, done);
    } catch (error) {
      const message = String(error).split('\n', 4).join(' ');
      report.complaints.push(`${tried.name}, ${failed ?? 'nothing fails'}: ${message}`);
    }
    rmSync(directory, { recursive: true, force: true });
    if (failed === undefined) return report;
    report.faults += 1;
    if (attempt.error !== undefined) report.failures += 1;
  }
}

/** The template, or a copy of it in which all is there that the operation is about. */
async function prepareFor(
  tried: StoreOperation,
  template: World,
  directory: string,
): Promise<World> {
  if (tried.prepare === undefined) return template;
  const copy = template.copyTo(directory, nodeFiles);
  await copy.open();
  await tried.prepare(copy);
  await copy.close();
  return copy;
}

/** What the store holds after an operation that nothing disturbs. */
async function factsWhenDone(
  template: World,
  directory: string,
  tried: StoreOperation,
): Promise<StoreFacts> {
  const copy = template.copyTo(directory, nodeFiles);
  await copy.open();
  // Those that are to be found out fail by themselves.
  await tried.run(copy).catch(() => undefined);
  const facts = copy.facts();
  await copy.close();
  return facts;
}

/** One operation on a store of its own, with one failure. */
class Attempt {
  readonly #faulty = new FaultyFiles();
  readonly #world: World;
  readonly #check: ImageCheck;
  readonly #directory: string;
  error: unknown;
  #before: StoreFacts | undefined;
  #state: ReturnType<typeof storeState> | undefined;

  constructor(template: World, directory: string, check: ImageCheck) {
    this.#world = template.copyTo(directory, this.#faulty.files);
    this.#check = check;
    this.#directory = directory;
  }

  /** Returns which call has failed, if one has. */
  async run(
    tried: StoreOperation,
    { code, calls, isSticky }: SystemFailure,
    nth: number,
  ): Promise<string | undefined> {
    await this.#world.open();
    this.#before = this.#world.facts();
    this.#state = storeState(this.#directory);
    this.#faulty.arm({ calls, nth, code, isSticky });
    this.error = await tried.run(this.#world).catch((thrown: unknown) => thrown);
    return this.#faulty.disarm();
  }

  /** When nothing has failed: closes the store. */
  async end(): Promise<void> {
    await this.#world.close();
    if (this.error !== undefined) throw this.error as Error;
  }

  /** Fails unless the store is as it was or, without an error, complete; and goes on. */
  async check(
    tried: StoreOperation,
    { code, isSticky }: SystemFailure,
    done: StoreFacts,
  ): Promise<void> {
    const world = this.#world;
    if (this.error !== undefined) {
      expectClear(this.error, code);
      if (!isSticky && tried.closes !== true && tried.mayBeDone !== true) {
        expect(storeState(this.#directory)).toEqual(this.#state);
      }
    }
    if (tried.isRepair === true && !world.isOpen) await SnapshotStore.repair(this.#directory);
    if (!world.isOpen) await world.open();
    const before = this.#before ?? world.facts();
    const now = after(before, world.facts());
    // What cannot be removed either may leave a pack that nobody knows.
    let allowed = isSticky ? { ...before, packs: now.packs } : undefined;
    if (this.error === undefined) {
      expect(oldFacts(now, before)).toEqual(oldFacts(done, before));
      expect(now.snapshots.size).toBe(done.snapshots.size);
      allowed = now;
    } else if (tried.mayBeDone === true) allowed = after(before, { ...done, packs: now.packs });
    const expectation = { before, after: allowed, contents: world.contents };
    try {
      await this.#check.checkStore(world.store, expectation);
    } finally {
      await world.close();
    }
    await this.#expectReopens(isSticky);
  }

  async #expectReopens(isSticky: boolean): Promise<void> {
    const world = this.#world;
    await world.open();
    const before = world.facts();
    const { live } = world;
    await world.close();
    const probe = live.at(-1)?.id ?? '';
    const contents = new Map([...world.contents, [probe, this.#check.probeContent]]);
    const expectation = isSticky
      ? { before: { ...before, packs: [] }, after: before, contents }
      : { before, after: undefined, contents };
    await this.#check.checkDirectory(this.#directory, expectation);
  }
}

/** Sequences are never given twice, even when their snapshots are gone. */
function after(before: StoreFacts, facts: StoreFacts): StoreFacts {
  return { ...facts, lastSequence: Math.max(before.lastSequence, facts.lastSequence) };
}

/** What there is to say about the snapshots that had been there before. */
function oldFacts(facts: StoreFacts, before: StoreFacts): (string | undefined)[] {
  return [...before.snapshots.keys()].map((id) => facts.snapshots.get(id));
}

/** An error of the library, that says what the system said. */
function expectClear(error: unknown, code: string): void {
  if (!(error instanceof StoreError)) throw error as Error;
  expect(`${error.code}: ${error.message}`).toMatch(new RegExp(`^STORAGE: .*${code}`));
}
