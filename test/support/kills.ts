/**
 * Kills a process that captures, at a random moment, and checks what it leaves behind: a store
 * that opens, every acknowledged snapshot as it was captured, and no staging but of the living.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { type Child, startChild } from './children.ts';
import { makeDump } from './made-dumps.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** A store that processes die in. */
export class KillingField {
  readonly directory: string;
  readonly #newPath: () => string;
  readonly #pages: number;
  /** Ids of acknowledged snapshots, with the seeds of what was captured. */
  readonly #acknowledged = new Map<string, number>();
  #nextSeed = 1;
  #kills = 0;
  #inTheMiddle = 0;
  #unacknowledged = 0;

  constructor(newPath: () => string, pages: number) {
    this.directory = newPath();
    this.#newPath = newPath;
    this.#pages = pages;
  }

  /** Children that were killed. */
  get kills(): number {
    return this.#kills;
  }

  /** Those of them that had begun a capture and not finished it. */
  get inTheMiddle(): number {
    return this.#inTheMiddle;
  }

  /** Snapshots that were committed, but not acknowledged any more. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** Lets a child capture, kills it after a while, and checks the store. */
  async round(random: () => number): Promise<void> {
    const work = this.#newPath();
    mkdirSync(work);
    const task = { directory: this.directory, timeline: 't', count: 1_000_000, work };
    const child = startChild({ ...task, first: this.#nextSeed, pages: this.#pages });
    await child.said('begin', 1 + Math.floor(random() * 4));
    await delay(random() * 40);
    await child.kill();
    rmSync(work, { recursive: true, force: true });
    this.#note(child);
    await this.#check();
  }

  #note(child: Child): void {
    this.#kills += 1;
    let begun = 0;
    for (const report of child.reports) {
      if (report.event === 'begin') {
        begun += 1;
        this.#nextSeed = report.seed + 1;
      } else if (report.event === 'captured') {
        begun -= 1;
        this.#acknowledged.set(report.id, report.seed);
      }
    }
    if (begun > 0) this.#inTheMiddle += 1;
  }

  async #check(): Promise<void> {
    const { directory } = this;
    await using store = await openUnmanaged(directory);
    const own = readdirSync(join(directory, 'staging'));
    expect(own).toHaveLength(1);
    const leases = readdirSync(join(directory, 'leases')).filter((name) => name.endsWith('.lease'));
    expect(leases).toEqual([`${own[0] ?? ''}.lease`]);
    const list = store.timeline('t').list();
    expect(list.map(({ sequence }) => sequence)).toEqual(list.map((_, i) => i + 1));
    const known = new Set(list.map(({ id }) => id));
    for (const id of this.#acknowledged.keys()) expect(known).toContain(id);
    this.#unacknowledged = list.length - this.#acknowledged.size;
    expect(this.#unacknowledged).toBeLessThanOrEqual(this.#kills);
    expect((await store.verify({ level: 'quick' })).problems).toEqual([]);
    const recent = [...this.#acknowledged].slice(-4);
    for (const [id, seed] of recent) await this.#expectWhole(store, id, seed);
  }

  async #expectWhole(store: SnapshotStore, id: string, seed: number): Promise<void> {
    const [target, original] = [this.#newPath(), this.#newPath()];
    await store.snapshot(id).restore(target);
    makeDump(original, seed, this.#pages);
    expect(describeTree(target)).toEqual(describeTree(original));
    rmSync(target, { recursive: true });
    rmSync(original, { recursive: true });
  }

  /** Checks every acknowledged snapshot, and every page of the store. */
  async checkAll(): Promise<void> {
    await using store = await openUnmanaged(this.directory);
    expect((await store.verify()).problems).toEqual([]);
    for (const [id, seed] of this.#acknowledged) await this.#expectWhole(store, id, seed);
    expect(existsSync(join(this.directory, 'format.json'))).toBe(true);
  }
}

/** Numbers from 0 to 1 that follow from a seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
