/**
 * Random histories of a store with collections, on several handles and with several operations at
 * once, beside a plain model of what must be there. Playing one checks something after every step,
 * and in the end that packs hold exactly what the last snapshot needs, and then nothing.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { StoreError, type OpenOptions, type SnapshotStore } from '../../src/index.ts';
import {
  changedFiles,
  expectFilesIn,
  firstMoment,
  type Modelled,
  type Moment,
  writeFiles,
} from './collected-model.ts';
import { type Act, type CollectedStep, HANDLES } from './collected-steps.ts';
import { expectSameContent, writeDump } from './made-memory.ts';
import { changed } from './memory-changes.ts';
import { heldContents, neededSlots } from './needed-slots.ts';
import { readCatalog } from './store-state.ts';
import { expectSameTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

type CaptureAct = Extract<Act, { kind: 'capture' }>;
type SnapshotAct = Extract<Act, { readonly snapshot: number }>;

/** What goes on at the same time as an operation. */
interface Beside {
  readonly hasCollection: boolean;
  /** Snapshots whose states change. */
  readonly touched: Set<string>;
  /** What each of them was before. */
  readonly before: ReadonlyMap<string, Modelled['state']>;
}

/** Plays histories, each in a store of its own. */
export class CollectedHistory {
  readonly #newPath: () => string;
  readonly #directory: string;
  readonly #snapshots: Modelled[] = [];
  readonly #current = new Map<string, Moment>();
  readonly #stores: SnapshotStore[] = [];
  #steps = 0;

  private constructor(newPath: () => string) {
    this.#newPath = newPath;
    this.#directory = newPath();
  }

  /** Plays a history to its end. */
  static async play(
    newPath: () => string,
    steps: readonly CollectedStep[],
    options: OpenOptions = {},
  ): Promise<void> {
    const history = new CollectedHistory(newPath);
    try {
      for (let i = 0; i < HANDLES; i++) await history.#open(i, options);
      for (const step of steps) {
        await history.#take(step);
        await history.#check();
      }
      await history.#end();
    } finally {
      await Promise.all(history.#stores.map((store) => store.close()));
      rmSync(history.#directory, { recursive: true, force: true });
    }
  }

  async #open(handle: number, options: OpenOptions): Promise<void> {
    this.#stores[handle] = await openUnmanaged(this.#directory, { create: true, ...options });
  }

  #store(handle: number): SnapshotStore {
    return this.#stores[handle % HANDLES] as SnapshotStore;
  }

  #in(...states: readonly Modelled['state'][]): Modelled[] {
    return this.#snapshots.filter(({ state }) => states.includes(state));
  }

  async #take(step: CollectedStep): Promise<void> {
    this.#steps += 1;
    if (step.kind === 'reopen') {
      await this.#store(step.handle).close();
      await this.#open(step.handle, step.options);
    } else if (step.kind === 'forget') {
      const directory = join(this.#directory, step.what);
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
    } else await this.#act(step.acts);
  }

  async #act(acts: readonly Act[]): Promise<void> {
    const collections = acts.filter((act) => act.kind === 'collect').filter((act) => !act.dryRun);
    const hasCollection = collections.length > 0;
    const before = new Map(this.#snapshots.map(({ id, state }) => [id, state]));
    const beside = { hasCollection, touched: new Set<string>(), before };
    // All are begun before the first goes on.
    const results = await Promise.allSettled(acts.map((act) => this.#begin(act, beside)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const hasTime = collections.some(({ maxMilliseconds }) => maxMilliseconds === undefined);
    if (hasCollection) this.#noteCollected(before, hasTime);
  }

  #begin(act: Act, beside: Beside): Promise<void> {
    const store = this.#store(act.handle);
    if (act.kind === 'capture') return this.#capture(store, act, beside);
    if (act.kind === 'collect') return this.#collect(store, act);
    if (act.kind === 'verify') return this.#verify(store);
    if (act.kind === 'restore') return this.#restore(store, act, beside);
    return this.#changeState(store, act, beside);
  }

  /** What was marked before is gone, if there was time; what was marked meanwhile may be. */
  #noteCollected(before: Beside['before'], hasTime: boolean): void {
    for (const known of this.#in('marked')) {
      const isThere = isFound(() => this.#store(0).snapshot(known.id));
      if (isThere && (!hasTime || before.get(known.id) === 'live')) continue;
      expect(isThere, `${known.id} after a collection`).toBe(false);
      known.state = 'gone';
    }
  }

  async #capture(store: SnapshotStore, act: CaptureAct, beside: Beside): Promise<void> {
    const timeline = `t${act.timeline}`;
    const live = this.#in('live');
    const asked = act.parent === undefined ? undefined : live[act.parent % (live.length || 1)];
    const before = this.#current.get(timeline) ?? firstMoment(act.timeline);
    const earlier = this.#snapshots.map(({ memory }) => memory);
    const memory = act.changes.reduce((now, each) => changed(now, each, earlier), before.memory);
    const files = (act.fileChanges ?? []).reduce(changedFiles, before.files);
    this.#current.set(timeline, { memory, files });
    // Without being told, nobody knows what is newest while others capture.
    const on = act.isIncremental ? asked?.memory : undefined;
    const images = writeDump(this.#newPath(), memory, { on });
    const upper = act.fileChanges && writeFiles(this.#newPath(), files);
    const source = { images, files: upper, parent: asked?.id };
    try {
      const { id, sequence, parentId } = await store.timeline(timeline).capture(source);
      if (asked !== undefined) expect(parentId).toBe(asked.id);
      const taken = this.#snapshots.filter((known) => known.timeline === timeline);
      expect(taken.map((known) => known.sequence)).not.toContain(sequence);
      const kept = upper === undefined ? undefined : files;
      const what = { memory, files: kept, isFull: on === undefined };
      const rest = { state: 'live', isPinned: false, note: '' } as const;
      this.#snapshots.push({ id, timeline, sequence, ...what, ...rest });
    } catch (error) {
      const mayBeGone = asked !== undefined && beside.touched.has(asked.id);
      if (!mayBeGone || codeOf(error) !== 'NOT_FOUND') throw error;
    } finally {
      rmSync(images, { recursive: true });
      if (upper !== undefined) rmSync(upper, { recursive: true });
    }
  }

  async #changeState(store: SnapshotStore, act: SnapshotAct, beside: Beside): Promise<void> {
    const from = act.kind === 'remove' ? this.#in('live') : this.#snapshots;
    const known = from[act.snapshot % (from.length || 1)];
    // Of two changes at the same time, nobody knows which is the last.
    if (known === undefined || beside.touched.has(known.id)) return;
    beside.touched.add(known.id);
    const { state } = known;
    try {
      const snapshot = store.snapshot(known.id);
      if (act.kind === 'pin') await snapshot.pin(act.value > 1);
      else if (act.kind === 'note') await snapshot.note('n'.repeat(act.value));
      else await (act.kind === 'remove' ? snapshot.remove() : snapshot.undelete());
    } catch (error) {
      expect(codeOf(error)).toBe('NOT_FOUND');
      expect(state === 'gone' || (state === 'marked' && beside.hasCollection)).toBe(true);
      known.state = 'gone';
      return;
    }
    expect(state).not.toBe('gone');
    if (act.kind === 'pin') known.isPinned = act.value > 1;
    else if (act.kind === 'note') known.note = 'n'.repeat(act.value);
    else known.state = act.kind === 'remove' ? 'marked' : 'live';
  }

  async #restore(store: SnapshotStore, act: SnapshotAct, beside: Beside): Promise<void> {
    const known = this.#snapshots[act.snapshot % (this.#snapshots.length || 1)];
    if (known === undefined) return;
    try {
      await this.#expectWhole(store, known);
      expect(beside.before.get(known.id)).not.toBe('gone');
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error;
      // Removed and collected before the restore began, both in this very step.
      if (!beside.hasCollection) expect(known.state).toBe('gone');
    }
  }

  async #collect(store: SnapshotStore, act: Extract<Act, { kind: 'collect' }>): Promise<void> {
    const report = await store.collect(act);
    expect(report).toMatchObject({ damage: [], dryRun: act.dryRun });
  }

  async #verify(store: SnapshotStore): Promise<void> {
    expect((await store.verify()).problems).toEqual([]);
  }

  async #expectWhole(store: SnapshotStore, known: Modelled): Promise<void> {
    const { memory, files, isFull } = known;
    const snapshot = store.snapshot(known.id);
    const [target, expected, upper] = [this.#newPath(), this.#newPath(), this.#newPath()];
    await snapshot.restore(target, files === undefined ? {} : { files: upper });
    writeDump(expected, memory);
    if (isFull) expectSameTree(target, expected);
    else expectSameContent(target, expected);
    if (files !== undefined) expectFilesIn(upper, files);
    for (const path of [target, expected, upper]) rmSync(path, { recursive: true, force: true });
  }

  /** Lists as the model has them, and a snapshot that comes out. */
  async #check(): Promise<void> {
    const store = this.#store(this.#steps);
    const there = this.#in('live', 'marked');
    for (const timeline of ['t0', 't1', 't2']) {
      const own = there
        .filter((known) => known.timeline === timeline)
        .sort((a, b) => a.sequence - b.sequence);
      const [live, marked] = [own.filter(isLive), own.filter((known) => !isLive(known))];
      const list = store.timeline(timeline).list();
      expect(list.map(({ id }) => id)).toEqual(live.map(({ id }) => id));
      const removed = store.timeline(timeline).list({ removed: true });
      expect(removed.map(({ id }) => id)).toEqual(marked.map(({ id }) => id));
      const said = list.map(({ isPinned, noteText: note }) => ({ isPinned, note }));
      expect(said).toEqual(live.map(({ isPinned, note }) => ({ isPinned, note })));
      expect(store.timeline(timeline).latest()?.id).toBe(live.at(-1)?.id);
      const now = new Date(Date.now() + 1000);
      expect(store.timeline(timeline).at(now) === undefined).toBe(live.length === 0);
    }
    const known = there[(this.#steps * 7919) % (there.length || 1)];
    if (known !== undefined) await this.#expectWhole(store, known);
    for (const gone of this.#in('gone').slice(-2)) {
      expect(isFound(() => store.snapshot(gone.id))).toBe(false);
    }
  }

  async #end(): Promise<void> {
    const store = this.#store(1);
    for (const known of this.#in('live', 'marked')) await this.#expectWhole(store, known);
    await this.#verify(store);
    const [kept, ...others] = this.#in('live');
    for (const { id } of others) await store.snapshot(id).remove();
    await this.#collectAll(store, 'something is in the way');
    if (kept !== undefined) {
      await this.#expectWhole(this.#store(2), kept);
      const held = heldContents(this.#directory);
      expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, kept.id)].sort());
      await this.#verify(store);
      await store.snapshot(kept.id).remove();
    }
    await this.#collectAll(store, 'of an empty store');
    expect(rowsLeft(this.#directory)).toEqual({ snapshots: 0, segments: 0, condemned: 0 });
    const held = heldContents(this.#directory);
    expect(held.packs.length).toBe(this.#snapshots.length === 0 ? 0 : held.states ? 1 : 0);
    expect([held.slots.size, held.manifests.length]).toEqual([0, 0]);
    expect(held.packBytes).toBeLessThan(4096 + 40 * this.#snapshots.length);
    await this.#verify(store);
  }

  /** Two collections: after them nothing waits, and nobody knows of a pack that is not needed. */
  async #collectAll(store: SnapshotStore, when: string): Promise<void> {
    await store.collect({ wasteThreshold: 0 });
    const report = await store.collect({ wasteThreshold: 0 });
    const rest = { waitingPacks: 0, unknownPacks: [], damage: [], writtenBytes: 0 };
    expect(report, when).toMatchObject({ complete: true, deadPages: 0, deadBytes: 0, ...rest });
  }
}

function isLive({ state }: Modelled): boolean {
  return state === 'live';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof StoreError ? error.code : undefined;
}

function isFound(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return false;
    throw error;
  }
}

function rowsLeft(directory: string): Record<'snapshots' | 'segments' | 'condemned', number> {
  return readCatalog(directory, (catalog) => {
    const count = (table: string) =>
      catalog.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    return {
      snapshots: count('snapshots'),
      segments: count('segments'),
      condemned: count('condemned'),
    };
  });
}
