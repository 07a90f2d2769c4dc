/**
 * Random histories of captures, damage, collections and repairs that heal, against a plain model:
 * what a snapshot was. No repair and no collection loses a page that could be restored, what a
 * repair does not name as lost is whole, and a partial restore is exact but for what it names.
 */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SnapshotStore, StoreError, type RepairReport } from '../../src/index.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { damageBlock } from './damaged-store.ts';
import { randomNumbers } from './kills.ts';
import { type Memory, randomPage, withBytes, writeDump } from './made-memory.ts';
import { packFiles, packsOf, readPack } from './store-contents.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

interface Captured {
  readonly id: string;
  readonly memory: Memory;
  isRemoved: boolean;
}

/** Calls of the door that change something. */
const CHANGES: readonly string[] = ['rename', 'link', 'unlink', 'mkdir'];

/** Plays one history, which follows from its seed. */
export class HealingHistory {
  readonly #newPath: () => string;
  readonly #random: () => number;
  readonly #directory: string;
  readonly #captured: Captured[] = [];
  /** Packs as they were, by their names. */
  readonly #copies: string;
  /** What was done, for whoever looks at a failure. */
  readonly log: string[] = [];
  #moment = 0;
  #isRead = true;

  constructor(newPath: () => string, seed: number) {
    this.#newPath = newPath;
    this.#random = randomNumbers(seed);
    this.#directory = newPath();
    this.#copies = newPath();
  }

  /** Plays so many steps, and ends with a repair. */
  async play(steps: number): Promise<void> {
    await this.#capture();
    for (let i = 0; i < steps; i++) await this.#step();
    await this.#repair('packs');
    await this.#collect();
    await this.#repair('packs');
  }

  async #step(): Promise<void> {
    const turn = this.#random();
    if (turn < 0.45) await this.#capture();
    else if (turn < 0.63) await this.#damage();
    else if (turn < 0.66) this.#bringBack();
    else if (turn < 0.74) await this.#verify();
    else if (turn < 0.78) await this.#remove();
    else if (turn < 0.83) await this.#collect();
    else if (turn < 0.86) this.#damageCache();
    else await this.#repair(this.#random() < 0.5 ? 'packs' : 'quick');
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#below(items.length)];
  }

  #nextMemory(): Memory {
    const from = this.#pick(this.#captured);
    if (from !== undefined && this.#random() < 0.6) return from.memory;
    const moment = (this.#moment += 1);
    const pages = new Map(from?.memory.spaces.get('pagemap-1'));
    if (pages.size === 0) {
      for (let i = 0; i < 90 + this.#below(600); i++) pages.set(16 + i, randomPage(i));
    }
    const [from0, every] = [this.#below(8), 1 + this.#below(8)];
    for (const [address, page] of pages) {
      const turn = (address + from0) % (4 * every);
      // Few things that may change, so that the same pages come again.
      if (turn === 0) pages.set(address, randomPage(1000 * (moment % 5) + address));
      else if (turn === 1) pages.set(address, Buffer.alloc(4096));
      else if (turn % 4 === 2) {
        pages.set(address, withBytes(page, 8 * (moment % 7), Buffer.of(1 + (moment % 3))));
      }
    }
    const short = randomPage(moment % 4).subarray(0, 100 + (moment % 2));
    return { spaces: new Map([['pagemap-1', pages]]), files: new Map([['a.img', short]]) };
  }

  async #capture(): Promise<void> {
    const memory = this.#nextMemory();
    const timeline = this.#random() < 0.6 ? 't' : 'u';
    const store = await openUnmanaged(this.#directory, { create: true });
    try {
      const images = writeDump(this.#newPath(), memory);
      const { id } = await store.timeline(timeline).capture({ images });
      rmSync(images, { recursive: true });
      this.#captured.push({ id, memory, isRemoved: false });
      this.log.push(`capture ${this.#captured.length - 1} ${timeline} ${id}`);
      // What nobody has met is referred to: its digests are right.
      if (this.#isRead) await this.#expectOne(store, this.#captured.at(-1) as Captured);
    } finally {
      await store.close();
    }
    this.#copyPacks();
  }

  #copyPacks(): void {
    for (const path of packFiles(this.#directory)) {
      const copy = join(this.#copies, basename(path));
      if (!existsSync(copy)) cpSync(path, copy, { recursive: true });
    }
  }

  async #damage(): Promise<void> {
    for (let i = 1 + this.#below(3); i > 0; i--) {
      const path = this.#pick(packFiles(this.#directory));
      if (path === undefined) return;
      const turn = this.#random();
      this.#isRead = false;
      if (turn < 0.12) {
        rmSync(path);
        this.log.push(`delete ${basename(path)}`);
      } else if (turn < 0.2) {
        const bytes = readFileSync(path);
        chmodSync(path, 0o600);
        writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
        this.log.push(`cut ${basename(path)}`);
      } else if (turn < 0.35) {
        const { length } = readFileSync(path);
        const at = this.#below(length - 2);
        damageBlock(path, at, 2);
        this.log.push(`damage ${basename(path)} at ${at + 1}`);
      } else if (turn < 0.5) await this.#damageListed(path);
      else await this.#damageFrame(path);
    }
  }

  /** One of the blocks that the footer lists: tables, manifests, digests, states. */
  async #damageListed(path: string): Promise<void> {
    let entries;
    try {
      entries = await readPack(path, ({ footer }) => footer.entries);
    } catch {
      return;
    }
    const entry = this.#pick(entries);
    if (entry === undefined) return;
    damageBlock(path, entry.offset, entry.blockBytes);
    this.log.push(`${entry.type} ${basename(path)} at ${entry.offset}`);
  }

  async #damageFrame(path: string): Promise<void> {
    let frames;
    try {
      const packs = await packsOf(this.#directory);
      ({ frames } = packs.find((pack) => pack.path === path) ?? { frames: [] });
    } catch {
      // Another one cannot be read: anywhere in this one.
      const at = this.#below(readFileSync(path).length - 2);
      damageBlock(path, at, 2);
      this.log.push(`damage ${basename(path)} at ${at + 1}`);
      return;
    }
    const deltas = this.#random() < 0.6;
    const frame = this.#pick(frames.filter(({ isDelta }) => isDelta === deltas));
    if (frame === undefined) return;
    damageBlock(path, frame.offset, frame.blockBytes);
    this.log.push(`frame ${deltas ? 'of deltas ' : ''}${basename(path)} at ${frame.offset}`);
  }

  #bringBack(): void {
    const name = this.#pick(readdirSync(this.#copies));
    if (name === undefined) return;
    const path = join(this.#directory, 'packs', name.slice(0, 2), name);
    if (existsSync(dirname(path))) cpSync(join(this.#copies, name), path, { force: true });
    this.log.push(`bring back ${name}`);
  }

  async #verify(): Promise<void> {
    await this.#use(async (store) => {
      await store.verify({ level: this.#random() < 0.5 ? 'snapshots' : 'packs' });
      this.log.push('verify');
    });
  }

  async #remove(): Promise<void> {
    const captured = this.#pick(this.#captured.filter(({ isRemoved }) => !isRemoved));
    if (captured === undefined) return;
    await this.#use(async (store) => {
      await store.snapshot(captured.id).remove();
      captured.isRemoved = true;
      this.log.push(`remove ${captured.id}`);
    });
  }

  async #collect(): Promise<void> {
    const before = await this.#state();
    await this.#use(async (store) => {
      const wasteThreshold = this.#random() < 0.5 ? 0 : 0.5;
      await store.collect({ wasteThreshold });
      this.log.push(`collect ${wasteThreshold}`);
    });
    await this.#expectStill(before, 'a collection');
    this.#copyPacks();
  }

  async #use(action: (store: SnapshotStore) => Promise<void>): Promise<void> {
    const store = await openUnmanaged(this.#directory);
    try {
      await action(store);
    } catch (error) {
      // Damage may be in the way.
      if (!(error instanceof StoreError)) throw error;
      if (!['CORRUPT', 'NOT_FOUND'].includes(error.code)) throw error;
      this.log.push(`failed: ${error.message}`);
    } finally {
      await store.close();
    }
  }

  #damageCache(): void {
    const cache = join(this.#directory, 'cache');
    for (const name of readdirSync(cache)) {
      if (this.#random() < 0.3) continue;
      const bytes = readFileSync(join(cache, name));
      const turn = this.#below(4);
      if (turn === 0) rmSync(join(cache, name));
      else if (turn === 1) writeFileSync(join(cache, name), bytes.subarray(0, bytes.length >> 1));
      else if (turn === 2) writeFileSync(join(cache, name), Buffer.alloc(bytes.length, 7));
      this.log.push(`head ${name}: ${turn}`);
    }
  }

  async #repair(level: 'quick' | 'packs'): Promise<void> {
    const turn = this.#random();
    if (turn < 0.15) {
      for (const end of ['', '-wal', '-shm']) {
        rmSync(join(this.#directory, `catalog.sqlite${end}`), { force: true });
      }
      // What was on record as damaged is not any more.
      this.#isRead = false;
      this.log.push('delete the catalog');
    }
    const before = turn < 0.15 ? undefined : await this.#state();
    if (turn > 0.7) await this.#cutRepair(level);
    this.log.push(`repair ${level}`);
    const dry = await SnapshotStore.repair(this.#directory, { level, dryRun: true });
    const report = await SnapshotStore.repair(this.#directory, { level });
    same({ ...report, dryRun: true }, dry, 'a dry run');
    this.log.push(...report.changes);
    if (level === 'packs') this.#isRead = true;
    if (before !== undefined) await this.#expectStill(before, 'a repair');
    if (this.#isRead) await this.#expectReport(report);
    await this.#expectEnd(level);
    this.#copyPacks();
  }

  /** The next repair has nothing to do. */
  async #expectEnd(level: 'quick' | 'packs'): Promise<void> {
    const again = await SnapshotStore.repair(this.#directory, { level });
    same([again.catalog, again.changes], ['kept', []], 'the next repair');
  }

  /** A repair that dies somewhere. */
  async #cutRepair(level: 'quick' | 'packs'): Promise<void> {
    let left = this.#below(25);
    const files = { ...nodeFiles };
    for (const name of CHANGES) {
      const call = Reflect.get(nodeFiles, name) as (...given: unknown[]) => unknown;
      const cut = (...given: unknown[]): unknown => {
        if (left-- > 0) return call(...given);
        throw Object.assign(new Error('cut off'), { code: 'ENOSPC', syscall: name });
      };
      Object.assign(files, { [name]: cut });
    }
    try {
      await SnapshotStore.repair(this.#directory, { level, files });
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'STORAGE') throw error;
      this.log.push(`cut off: ${error.message}`);
    }
  }

  async #expectReport(report: RepairReport): Promise<void> {
    const lost = new Map(report.snapshots.lost.map((one) => [one.id, one]));
    const store = await openUnmanaged(this.#directory, { readOnly: true });
    try {
      const ids = new Set([
        ...store
          .timeline('t')
          .list()
          .map(({ id }) => id),
        ...store
          .timeline('u')
          .list()
          .map(({ id }) => id),
      ]);
      for (const captured of this.#captured) {
        const { id } = captured;
        const what = lost.get(id);
        if (!ids.has(id)) continue;
        if (what === undefined) await this.#expectOne(store, captured);
        else if (what.lost === 'partly') await this.#missing(store, captured);
      }
    } finally {
      await store.close();
    }
  }

  async #expectOne(store: SnapshotStore, captured: Captured): Promise<void> {
    if (await this.#restores(store, captured)) return;
    throw new Error(`${captured.id} is not whole`);
  }

  /** How many bytes a partial restore lacks; Infinity when there is none. */
  async #missing(store: SnapshotStore, captured: Captured): Promise<number> {
    const { id, memory } = captured;
    const [target, expected] = [this.#newPath(), this.#newPath()];
    let runs;
    try {
      ({ runs } = (await store.snapshot(id).restore(target, { partial: true })).missing);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (!['CORRUPT', 'NOT_FOUND'].includes(error.code)) throw error;
      return Infinity;
    }
    writeDump(expected, memory);
    for (const name of readdirSync(expected)) {
      const bytes = readFileSync(join(expected, name));
      for (const run of runs) {
        if (run.image === name) bytes.fill(0, run.offset, run.offset + run.bytes);
      }
      if (!readFileSync(join(target, name)).equals(bytes)) throw new Error(`${id}: ${name}`);
    }
    rmSync(target, { recursive: true });
    rmSync(expected, { recursive: true });
    return runs.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Whether it comes out; fails when something else does. */
  async #restores(store: SnapshotStore, { id, memory }: Captured): Promise<boolean> {
    const [target, expected] = [this.#newPath(), this.#newPath()];
    try {
      await store.snapshot(id).restore(target);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (!['CORRUPT', 'NOT_FOUND'].includes(error.code)) throw error;
      return false;
    }
    writeDump(expected, memory);
    same(describeTree(target), describeTree(expected), id);
    rmSync(target, { recursive: true });
    rmSync(expected, { recursive: true });
    return true;
  }

  /** What is missing of each snapshot, in bytes. */
  async #state(): Promise<Map<Captured, number>> {
    const store = await openUnmanaged(this.#directory, { readOnly: true });
    try {
      const state = new Map<Captured, number>();
      for (const captured of this.#captured) {
        if (captured.isRemoved) continue;
        state.set(captured, await this.#missing(store, captured));
      }
      return state;
    } finally {
      await store.close();
    }
  }

  /** Fails when more is missing of any snapshot than was. */
  async #expectStill(before: ReadonlyMap<Captured, number>, after: string): Promise<void> {
    for (const [captured, bytes] of await this.#state()) {
      const had = before.get(captured) ?? Infinity;
      if (bytes <= had) continue;
      throw new Error(`${captured.id} lacked ${had} bytes before ${after}, now ${bytes}`);
    }
  }
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [one, other] = [JSON.stringify(actual, null, 1), JSON.stringify(expected, null, 1)];
  if (one !== other) throw new Error(`${what}: ${one}\n instead of ${other}`);
}
