/**
 * Processes that capture, restore, remove, undelete and collect in one store, each killed at a
 * random moment and started again, and what must hold of the store at any time: what was
 * acknowledged is there and whole, and the dead are in nobody's way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { StoreError, type SnapshotStore } from '../../src/index.ts';
import { makeDump } from './made-dumps.ts';
import { heldContents } from './needed-slots.ts';
import { readCatalog } from './store-state.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** What a child is told. */
export interface CollectedTask {
  readonly directory: string;
  readonly work: string;
  readonly seed: number;
  readonly pages: number;
}

/** What a child says. */
export type CollectedReport =
  | { readonly event: 'open' | 'capturing' | 'restoring' | 'restored' | 'collecting' }
  | { readonly event: 'removing' | 'removed' | 'undeleting'; readonly id: string }
  | { readonly event: 'collected'; readonly complete: boolean; readonly condemnedSnapshots: number }
  | {
      readonly event: 'captured';
      readonly id: string;
      readonly seed: number;
      readonly timeline: string;
      readonly sequence: number;
    };

/** What was counted. */
export interface CollectedCounts {
  kills: number;
  captures: number;
  restores: number;
  removals: number;
  collections: number;
  complete: number;
  /** Kills between the beginning of a collection and its end. */
  killedCollections: number;
  killedCaptures: number;
  unknownPacks: number;
}

const program = fileURLToPath(new URL('collected-child.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const SEEDS_A_CHILD = 100_000;

interface Known {
  readonly seed: number;
  mayBeRemoved: boolean;
  mustBeRemoved: boolean;
}

/** A store that processes collect and die in. */
export class CollectingField {
  readonly directory: string;
  readonly counts: CollectedCounts = {
    kills: 0,
    captures: 0,
    restores: 0,
    removals: 0,
    collections: 0,
    complete: 0,
    killedCollections: 0,
    killedCaptures: 0,
    unknownPacks: 0,
  };
  readonly #newPath: () => string;
  readonly #random: () => number;
  readonly #pages: number;
  readonly #known = new Map<string, Known>();
  readonly #sequences = new Set<string>();
  #children = 0;
  #isOver = false;
  #failure: Error | undefined;

  constructor(newPath: () => string, random: () => number, pages: number) {
    this.directory = newPath();
    this.#newPath = newPath;
    this.#random = random;
    this.#pages = pages;
  }

  /** Lets so many processes live and die for a while; fails as soon as something is wrong. */
  async run(processes: number, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    const lives = Array.from({ length: processes }, () => this.#liveAndDie());
    while (performance.now() < end && this.#failure === undefined) {
      await delay(Math.min(2000, milliseconds / 4));
      await this.#check();
    }
    this.#isOver = true;
    await Promise.all(lives);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #liveAndDie(): Promise<void> {
    while (!this.#isOver && this.#failure === undefined) {
      try {
        await this.#oneLife();
      } catch (error) {
        this.#failure = error as Error;
      }
    }
  }

  async #oneLife(): Promise<void> {
    const work = this.#newPath();
    mkdirSync(work);
    const seed = ++this.#children * SEEDS_A_CHILD;
    const task = { directory: this.directory, work, seed, pages: this.#pages };
    const { child, failed, opened } = this.#start(task);
    await Promise.race([opened, failed]);
    const life = delay(this.#random() ** 2 * 6000);
    await Promise.race([life, failed]);
    child.kill('SIGKILL');
    await failed;
    this.counts.kills += 1;
    rmSync(work, { recursive: true, force: true });
  }

  /** @returns `failed`, which resolves when the child was killed, and rejects otherwise. */
  #start(task: CollectedTask): {
    child: ChildProcess;
    failed: Promise<void>;
    opened: Promise<void>;
  } {
    const typescript = './test/support/typescript.mjs';
    const options = ['--import', typescript, '-C', '@criu-timeline/source', program];
    const child = spawn(process.execPath, [...options, JSON.stringify(task)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let complaint = '';
    let last: CollectedReport['event'] | undefined;
    child.stderr.on('data', (chunk) => (complaint += String(chunk)));
    const opened = new Promise<void>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        const report = JSON.parse(line) as CollectedReport;
        last = report.event;
        if (last === 'open') resolve();
        this.#note(report);
      });
    });
    const failed = once(child, 'close').then(() => {
      if (last === 'collecting') this.counts.killedCollections += 1;
      if (last === 'capturing') this.counts.killedCaptures += 1;
      if (child.signalCode !== 'SIGKILL') throw new Error(`a child failed: ${complaint}`);
    });
    return { child, failed, opened };
  }

  #note(report: CollectedReport): void {
    const { counts } = this;
    if (report.event === 'captured') {
      counts.captures += 1;
      const { id, seed, timeline, sequence } = report;
      const known = this.#known.get(id);
      this.#known.set(id, { mayBeRemoved: false, mustBeRemoved: false, ...known, seed });
      const place = `${timeline}@${sequence}`;
      if (this.#sequences.has(place)) this.#failure = new Error(`${place} was given twice`);
      this.#sequences.add(place);
    } else if (report.event === 'restored') counts.restores += 1;
    else if (report.event === 'collected') {
      counts.collections += 1;
      if (report.complete) counts.complete += 1;
    } else if ('id' in report) {
      // Another process may say that it removes what its maker has not said yet that it is there.
      const known = this.#known.get(report.id) ?? { seed: -1, mayBeRemoved: true };
      const mustBeRemoved = report.event === 'removed';
      this.#known.set(report.id, { ...known, mayBeRemoved: true, mustBeRemoved });
      if (mustBeRemoved) counts.removals += 1;
    }
  }

  /** While they are at it: some of what was acknowledged, and whatever else is there. */
  async #check(): Promise<void> {
    await using store = await openUnmanaged(this.directory, { create: true });
    const ids = [...this.#known.keys()];
    for (let i = 0; i < 4 && ids.length > 0; i++) {
      await this.#checkOne(store, ids[Math.floor(this.#random() * ids.length)] as string);
    }
    const level = this.#random() < 0.3 ? 'snapshots' : 'quick';
    expect((await store.verify({ level })).problems).toEqual([]);
  }

  async #checkOne(store: SnapshotStore, id: string): Promise<void> {
    try {
      await this.#expectWhole(store, id);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'NOT_FOUND') throw error;
      // What a child has said may still be on its way.
      await delay(1000);
      expect(this.#known.get(id)?.mayBeRemoved, `${id} is gone`).toBe(true);
    }
  }

  async #expectWhole(store: SnapshotStore, id: string): Promise<void> {
    const [target, original] = [this.#newPath(), this.#newPath()];
    const snapshot = store.snapshot(id);
    const seed = Number(snapshot.labels['seed']);
    const known = this.#known.get(id)?.seed ?? -1;
    if (known >= 0) expect(seed).toBe(known);
    await snapshot.restore(target);
    makeDump(original, seed, this.#pages);
    expect(describeTree(target)).toEqual(describeTree(original));
    rmSync(target, { recursive: true });
    rmSync(original, { recursive: true });
  }

  /** When all are dead: what must be there is, nothing of the dead, and no lost space. */
  async checkAll(): Promise<void> {
    const { directory } = this;
    await using store = await openUnmanaged(directory, { create: true });
    const staging = readdirSync(join(directory, 'staging'));
    expect(staging).toHaveLength(1);
    const leases = readdirSync(join(directory, 'leases')).filter((name) => !name.endsWith('.lock'));
    expect(leases.map((name) => name.split('.')[0])).toEqual([staging[0], staging[0]]);
    expect((await store.verify()).problems).toEqual([]);
    const live = new Set<string>();
    for (const timeline of store.timelines()) {
      for (const { id } of timeline.list()) {
        live.add(id);
        await this.#expectWhole(store, id);
      }
    }
    for (const [id, { mayBeRemoved }] of this.#known) {
      if (!mayBeRemoved) expect(live, id).toContain(id);
    }
    await this.#collectAll(store, live);
  }

  async #collectAll(store: SnapshotStore, live: ReadonlySet<string>): Promise<void> {
    const { directory } = this;
    for (const id of live) await store.snapshot(id).remove();
    await store.collect({ wasteThreshold: 0 });
    const { unknownPacks } = await store.collect({ wasteThreshold: 0 });
    // Of captures and collections that were killed between rename and commit.
    this.counts.unknownPacks = unknownPacks.length;
    expect(unknownPacks.length).toBeLessThanOrEqual(this.counts.kills);
    if (unknownPacks.length > 0) await store.repair();
    for (const timeline of store.timelines()) {
      for (const snapshot of timeline.list()) {
        await this.#expectWhole(store, snapshot.id);
        await snapshot.remove();
      }
    }
    await store.collect({ wasteThreshold: 0 });
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({ complete: true, waitingPacks: 0, damage: [], deadBytes: 0 });
    expect(report.unknownPacks).toEqual([]);
    const held = heldContents(directory);
    expect([held.packs.length, held.slots.size, held.manifests.length]).toEqual([1, 0, 0]);
    const left = readCatalog(directory, (catalog) =>
      ['snapshots', 'segments', 'condemned', 'retired', 'lost_frames'].map((table) =>
        catalog.prepare(`SELECT count(*) FROM ${table}`).pluck().get(),
      ),
    );
    expect(left).toEqual([0, 0, 0, 0, 0]);
    expect((await store.verify()).problems).toEqual([]);
  }
}
