/**
 * Random histories of a store beside a plain model of what each snapshot must be. A history is a
 * list of plain values; playing it checks a snapshot after every step, and all of them at the end.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { OpenOptions, SnapshotStore } from '../../src/index.ts';
import { flipped } from './damaged-store.ts';
import { expectSameContent, type Memory, randomPages, writeDump } from './made-memory.ts';
import { change, type Change, changed } from './memory-changes.ts';
import { expectSameTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** One step of a history. */
export type Step =
  | {
      readonly kind: 'capture';
      readonly timeline: number;
      readonly changes: readonly Change[];
      /** Chooses a live snapshot to continue; undefined for the newest of the timeline. */
      readonly parent: number | undefined;
      readonly isIncremental: boolean;
      readonly isPreDump: boolean;
    }
  | { readonly kind: 'remove' | 'undelete'; readonly snapshot: number }
  | { readonly kind: 'reopen'; readonly options: OpenOptions }
  | {
      readonly kind: 'harm';
      readonly what: 'cache' | 'index';
      readonly how: 'delete' | 'truncate' | 'flip' | 'exchange' | 'older';
      readonly at: number;
    };

/** Any step; stores are opened with a number of workers out of `workers`. */
export function step(workers: readonly number[]): fc.Arbitrary<Step> {
  const choice = fc.nat(0xffff);
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant('capture'),
        timeline: fc.nat(1),
        changes: fc.array(change, { maxLength: 4 }),
        parent: fc.option(choice, { nil: undefined, freq: 3 }),
        isIncremental: fc.boolean(),
        isPreDump: fc.integer({ min: 0, max: 3 }).map((number) => number === 0),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('remove', 'undelete'), snapshot: choice }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('reopen'),
        options: fc.record({
          maxDeltaDepth: fc.constantFrom(0, 1, 3, 16),
          compressionLevel: fc.constantFrom(1, 3),
          cacheBytes: fc.constantFrom(0, 64 * 1024 * 1024),
          workers: fc.constantFrom(...workers),
        }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('harm'),
        what: fc.constantFrom('cache', 'index'),
        how: fc.constantFrom('delete', 'truncate', 'flip', 'exchange', 'older'),
        at: choice,
      }),
    },
  );
}

/** A snapshot, and what it must be. */
interface Known {
  readonly id: string;
  readonly timeline: string;
  readonly memory: Memory;
  readonly isPreDump: boolean;
  /** Whether it was captured from a full dump, and must come out as the same bytes. */
  readonly isFull: boolean;
  isRemoved: boolean;
}

/** Plays histories, each in a store of its own. */
export class History {
  readonly #newPath: () => string;
  readonly #directory: string;
  readonly #snapshots: Known[] = [];
  readonly #current = new Map<string, Memory>();
  #store: SnapshotStore;

  private constructor(newPath: () => string, directory: string, store: SnapshotStore) {
    this.#newPath = newPath;
    this.#directory = directory;
    this.#store = store;
  }

  /** Plays a history to its end. */
  static async play(newPath: () => string, steps: readonly Step[]): Promise<void> {
    const directory = newPath();
    const store = await openUnmanaged(directory, { create: true });
    const history = new History(newPath, directory, store);
    try {
      for (const [i, each] of steps.entries()) {
        await history.#take(each);
        await history.#checkOne(i * 7919);
      }
      await history.#checkAll();
    } finally {
      await history.#store.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async #take(step: Step): Promise<void> {
    if (step.kind === 'capture') await this.#capture(step);
    else if (step.kind === 'harm') this.#harm(step);
    else if (step.kind === 'reopen') {
      await this.#store.close();
      this.#store = await openUnmanaged(this.#directory, step.options);
    } else {
      const isRemoved = step.kind === 'remove';
      const among = this.#snapshots.filter((known) => known.isRemoved !== isRemoved);
      const known = among[step.snapshot % Math.max(1, among.length)];
      if (known === undefined) return;
      const snapshot = this.#store.snapshot(known.id);
      await (isRemoved ? snapshot.remove() : snapshot.undelete());
      known.isRemoved = isRemoved;
    }
  }

  get #live(): readonly Known[] {
    return this.#snapshots.filter(({ isRemoved }) => !isRemoved);
  }

  async #capture(step: Extract<Step, { kind: 'capture' }>): Promise<void> {
    const timeline = `t${step.timeline}`;
    const before = this.#current.get(timeline) ?? firstMemory(step.timeline);
    const earlier = this.#snapshots.map(({ memory }) => memory);
    const memory = step.changes.reduce((now, each) => changed(now, each, earlier), before);
    const live = this.#live;
    const newest = live.filter((known) => known.timeline === timeline).at(-1);
    const asked = step.parent === undefined ? undefined : live[step.parent % (live.length || 1)];
    const parent = asked ?? newest;
    const { isPreDump } = step;
    const on = step.isIncremental ? parent?.memory : undefined;
    const images = writeDump(this.#newPath(), memory, { on, preDump: isPreDump });
    const snapshot = await this.#store.timeline(timeline).capture({ images, parent: asked?.id });
    rmSync(images, { recursive: true });
    expect(snapshot.parentId).toBe(parent?.id);
    const isFull = on === undefined;
    // Nothing changed, and nothing is new: whatever happened to cache and index.
    if (isFull && parent?.isFull === true && isSame(parent, { memory, isPreDump })) {
      expect(snapshot.sizes.new.pages).toBe(0);
    }
    const { id } = snapshot;
    this.#snapshots.push({ id, timeline, memory, isPreDump, isFull, isRemoved: false });
    this.#current.set(timeline, memory);
    if (this.#snapshots.length % 3 === 1) this.#remember();
  }

  /** Keeps a copy of what is derived, to put it back when it is out of date. */
  #remember(): void {
    for (const name of ['cache', 'index']) {
      rmSync(`${this.#directory}-${name}`, { recursive: true, force: true });
      cpSync(join(this.#directory, name), `${this.#directory}-${name}`, { recursive: true });
    }
  }

  #harm({ what, how, at }: Extract<Step, { kind: 'harm' }>): void {
    const directory = join(this.#directory, what);
    const paths = readdirSync(directory).map((name) => join(directory, name));
    if (how === 'older') {
      const older = `${this.#directory}-${what}`;
      for (const path of paths) rmSync(path);
      if (existsSync(older)) cpSync(older, directory, { recursive: true });
      return;
    }
    const contents = paths.map((path) => readFileSync(path));
    for (const [i, path] of paths.entries()) {
      const bytes = contents[i] ?? Buffer.alloc(0);
      if (bytes.length === 0 || how === 'delete') rmSync(path);
      else if (how === 'truncate') writeFileSync(path, bytes.subarray(0, at % bytes.length));
      else if (how === 'flip') writeFileSync(path, flipped(bytes, (at * 31) % (bytes.length * 8)));
      else writeFileSync(path, contents[(i + 1) % contents.length] ?? bytes);
    }
  }

  async #checkOne(number: number): Promise<void> {
    const live = this.#live;
    const known = live[number % Math.max(1, live.length)];
    if (known !== undefined) await this.#check(known);
  }

  async #check({ id, memory, isPreDump, isFull }: Known): Promise<void> {
    const [target, expected] = [this.#newPath(), this.#newPath()];
    writeDump(expected, memory, { preDump: isPreDump });
    await this.#store.snapshot(id).restore(target);
    if (isFull) expectSameTree(target, expected);
    else expectSameContent(target, expected);
    rmSync(target, { recursive: true });
    rmSync(expected, { recursive: true });
  }

  /** The removed ones too, brought back. */
  async #checkAll(): Promise<void> {
    for (const known of this.#live) await this.#check(known);
    for (const known of this.#snapshots) {
      if (!known.isRemoved) continue;
      await this.#store.snapshot(known.id).undelete();
      await this.#check(known);
    }
    expect((await this.#store.verify()).problems).toEqual([]);
  }
}

function isSame(a: Pick<Known, 'memory' | 'isPreDump'>, b: Pick<Known, 'memory' | 'isPreDump'>) {
  return a.memory === b.memory && a.isPreDump === b.isPreDump;
}

/** Two processes and a shared segment; some of their pages are zeros, some the same. */
function firstMemory(timeline: number): Memory {
  const pages = randomPages(16, 40 + 560 * timeline, 1);
  pages.set(20, Buffer.alloc(4096));
  const other = new Map([...randomPages(16, 20, 1), ...randomPages(5000, 30, 2)]);
  const spaces = new Map([
    ['pagemap-1', pages],
    ['pagemap-2', other],
    ['pagemap-shmem-9', randomPages(0, 4, 3)],
  ]);
  return { spaces, files: new Map([['files.log', Buffer.from('a first line\n')]]) };
}
