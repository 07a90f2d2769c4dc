/**
 * The program of a child process that does anything at random with a store, collections included,
 * and says what it begins and what is acknowledged. Labels tell from which seed a snapshot was
 * made, so that whoever meets it knows what it must be. It goes on until it is killed.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError, type Snapshot, type SnapshotStore } from '../../src/index.ts';
import type { CollectedReport, CollectedTask } from './collected-kills.ts';
import { randomNumbers } from './kills.ts';
import { makeDump } from './made-dumps.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

const TIMELINES = 3;

function say(report: CollectedReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** Others remove and collect what this one is about to use. */
async function unlessGone(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'NOT_FOUND') throw error;
  }
}

class Worker {
  readonly #task: CollectedTask;
  readonly #store: SnapshotStore;
  readonly #random: () => number;
  #nextSeed: number;

  constructor(task: CollectedTask, store: SnapshotStore) {
    this.#task = task;
    this.#store = store;
    this.#random = randomNumbers(task.seed);
    this.#nextSeed = task.seed;
  }

  async work(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.4) await this.#capture();
    else if (dice < 0.55) await this.#restore();
    else if (dice < 0.75) await this.#remove();
    else if (dice < 0.82) await this.#undelete();
    else await this.#collect();
  }

  #choose(removed: boolean): Snapshot | undefined {
    const timeline = `t${Math.floor(this.#random() * TIMELINES)}`;
    const list = this.#store.timeline(timeline).list({ removed });
    return list[Math.floor(this.#random() * list.length)];
  }

  async #capture(): Promise<void> {
    const { pages, work } = this.#task;
    const seed = this.#nextSeed++;
    const timeline = `t${Math.floor(this.#random() * TIMELINES)}`;
    const images = makeDump(join(work, String(seed)), seed, pages);
    const labels = { seed: String(seed) };
    say({ event: 'capturing' });
    const { id, sequence } = await this.#store.timeline(timeline).capture({ images, labels });
    say({ event: 'captured', id, seed, timeline, sequence });
    rmSync(images, { recursive: true });
  }

  async #restore(): Promise<void> {
    const snapshot = this.#choose(this.#random() < 0.3);
    if (snapshot === undefined) return;
    const { pages, work } = this.#task;
    const target = join(work, `restored-${this.#nextSeed}`);
    await unlessGone(async () => {
      say({ event: 'restoring' });
      await snapshot.restore(target);
      const seed = Number(snapshot.labels['seed']);
      const original = makeDump(join(work, `original-${this.#nextSeed}`), seed, pages);
      const [restored, expected] = [describeTree(target), describeTree(original)];
      if (restored.join() !== expected.join()) throw new Error(`${snapshot.id} is wrong`);
      say({ event: 'restored' });
      rmSync(original, { recursive: true });
      rmSync(target, { recursive: true });
    });
  }

  async #remove(): Promise<void> {
    const snapshot = this.#choose(false);
    if (snapshot === undefined) return;
    const { id } = snapshot;
    say({ event: 'removing', id });
    await unlessGone(() => snapshot.remove());
    say({ event: 'removed', id });
  }

  async #undelete(): Promise<void> {
    const snapshot = this.#choose(true);
    if (snapshot === undefined) return;
    const { id } = snapshot;
    say({ event: 'undeleting', id });
    await unlessGone(() => snapshot.undelete());
  }

  async #collect(): Promise<void> {
    const wasteThreshold = [0, 0, 0.3, 1][Math.floor(this.#random() * 4)] ?? 0;
    say({ event: 'collecting' });
    const { damage, complete, condemnedSnapshots } = await this.#store.collect({ wasteThreshold });
    if (damage.length > 0) throw new Error(damage.join());
    say({ event: 'collected', complete, condemnedSnapshots });
  }
}

const task = JSON.parse(process.argv[2] ?? '') as CollectedTask;
const store = await openUnmanaged(task.directory, { create: true });
say({ event: 'open' });
const worker = new Worker(task, store);
for (;;) await worker.work();
