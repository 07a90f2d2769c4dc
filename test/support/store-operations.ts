/**
 * Operations on a store, one line each, for tests that run all of them: what breaks down at every
 * write, and what fails at every call. A world is a store, and all that must be found in it.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Snapshot, SnapshotStore } from '../../src/index.ts';
import type { Files } from '../../src/files/files.ts';
import { syncDirectory } from '../../src/files/transfer.ts';
import { type Memory, randomPage, randomPages, withBytes, writeDump } from './made-memory.ts';
import { packFiles, packsOf, type StoredFrame, type StoredPack } from './store-contents.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** What a snapshot must restore to, as `describeTree` says it. */
export interface Content {
  readonly images: readonly string[];
  readonly files: readonly string[] | undefined;
}

/** What a store says that it holds: of every snapshot all facts, removed ones too. */
export interface StoreFacts {
  /** JSON of the snapshots, by id. */
  readonly snapshots: ReadonlyMap<string, string>;
  /** The greatest sequence that was given in the timeline `t`. */
  readonly lastSequence: number;
  /** Names of the pack files, committed or not. */
  readonly packs: readonly string[];
}

/** An operation. It may find nothing to do. */
export interface StoreOperation {
  readonly name: string;
  readonly run: (world: World) => Promise<void>;
  /** Whether a failure may leave it done, in the view of those who list snapshots. */
  readonly mayBeDone?: boolean;
  /** Whether it closes the store, which then has another staging area. */
  readonly closes?: boolean;
  /** What is done to the store before, of which no failure is tried. */
  readonly prepare?: (world: World) => Promise<void>;
  /** Whether a store that it has left may have to be repaired before it can be opened. */
  readonly isRepair?: boolean;
}

/** The operations; `world.live` and `world.removed` are sorted by age. */
export const OPERATIONS: readonly StoreOperation[] = [
  { name: 'capture', run: (world) => world.capture({}) },
  { name: 'capture again', run: (world) => world.capture({ isSame: true }) },
  { name: 'capture files', run: (world) => world.capture({ hasFiles: true }) },
  { name: 'remove', run: async (world) => await world.live.at(-1)?.remove() },
  { name: 'undelete', run: async (world) => await world.removed.at(-1)?.undelete() },
  { name: 'pin', run: async (world) => await world.live[0]?.pin(!world.live[0].isPinned) },
  {
    name: 'note',
    run: async (world) => await world.live.at(-1)?.note(`note ${(world.step += 1)}`),
  },
  { name: 'reopen', run: (world) => world.reopen(), closes: true },
  { name: 'prune', run: (world) => world.prune() },
  { name: 'backup', run: (world) => world.backup() },
  { name: 'collect', run: (world) => world.collect(), mayBeDone: true },
  {
    name: 'repair',
    prepare: (world) => world.damage(),
    run: (world) => world.repair(),
    closes: true,
    isRepair: true,
  },
];

/** The operation of that name. */
export function operation(name: string): StoreOperation {
  const found = OPERATIONS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no operation is called ${name}`);
  return found;
}

/** A store on which operations are run, and what each snapshot must restore to. */
export class World {
  readonly directory: string;
  readonly contents: Map<string, Content> = new Map();
  /** Counts captures and notes: what they hold follows from it. */
  step = 0;
  readonly #newPath: () => string;
  readonly #files: Files;
  #store: SnapshotStore | undefined;
  #memory: Memory = {
    spaces: new Map([
      ['pagemap-7', randomPages(16, 6, 1)],
      ['pagemap-shmem-9', randomPages(0, 2, 2)],
    ]),
    files: new Map([['files.log', Buffer.from('a line\n')]]),
  };

  constructor(directory: string, newPath: () => string, files: Files) {
    this.directory = directory;
    this.#newPath = newPath;
    this.#files = files;
  }

  /** A copy of a closed store in another directory, and of what must be in it. */
  copyTo(directory: string, files: Files): World {
    cpSync(this.directory, directory, { recursive: true });
    const copy = new World(directory, this.#newPath, files);
    for (const [id, content] of this.contents) copy.contents.set(id, content);
    copy.step = this.step;
    copy.#memory = this.#memory;
    return copy;
  }

  /** Whether the store is open. */
  get isOpen(): boolean {
    return this.#store !== undefined;
  }

  /** The open store. */
  get store(): SnapshotStore {
    if (this.#store === undefined) throw new Error('the store is not open');
    return this.#store;
  }

  /** Snapshots that are listed. */
  get live(): Snapshot[] {
    return this.store.timeline('t').list();
  }

  /** Snapshots that are marked as removed. */
  get removed(): Snapshot[] {
    return this.store.timeline('t').list({ removed: true });
  }

  /** Opens the store, which is made if need be. */
  async open(): Promise<void> {
    const options = { create: true, files: this.#files, workers: 0 };
    this.#store = await openUnmanaged(this.directory, options);
  }

  /** Closes the store. */
  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }

  /** Closes the store and opens it again. */
  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  /** Captures a memory with a new page and a slightly changed one, or the one before. */
  async capture({ isSame = false, hasFiles = false }: CaptureShape): Promise<void> {
    this.step += 1;
    if (!isSame) this.#changeMemory();
    const images = writeDump(this.#newPath(), this.#memory);
    const files = hasFiles ? makeFiles(this.#newPath(), this.step) : undefined;
    const snapshot = await this.store.timeline('t').capture({ images, files });
    const described = files === undefined ? undefined : describeTree(files);
    this.contents.set(snapshot.id, { images: describeTree(images), files: described });
  }

  /** Collects all that is waste. */
  async collect(): Promise<void> {
    await this.store.collect({ wasteThreshold: 0 });
  }

  /** Marks all snapshots but the newest as removed. */
  async prune(): Promise<void> {
    await this.store.timeline('t').prune({ keepLast: 1 });
  }

  /**
   * Captures, damages what that has stored, and captures the same once more, so that what is lost
   * can be found again; and gives the oldest pack a name that is none.
   */
  async damage(): Promise<void> {
    await this.capture({});
    const packs = await packsOf(this.directory);
    const newest = packs.at(-1) as StoredPack;
    const frame = newest.frames.find(({ isDelta }) => !isDelta) as StoredFrame;
    await this.close();
    const fd = this.#files.open(newest.path, 'write');
    this.#files.write(fd, Buffer.from('damage'), frame.offset + 30);
    this.#files.sync(fd);
    this.#files.close(fd);
    await this.open();
    await this.store.verify({ level: 'packs' });
    await this.capture({ isSame: true });
    await this.close();
    const [{ path: oldest }] = packs as [StoredPack];
    this.#files.rename(oldest, `${oldest}.bak`);
    syncDirectory(this.#files, dirname(oldest));
    await this.open();
  }

  /** Closes the store, repairs it, and opens it again. */
  async repair(): Promise<void> {
    await this.close();
    await SnapshotStore.repair(this.directory, { files: this.#files, level: 'packs' });
    await this.open();
  }

  /** Copies the store elsewhere, which is not to be found in it. */
  async backup(): Promise<void> {
    await this.store.backup(this.#newPath());
  }

  #changeMemory(): void {
    const spaces = new Map(this.#memory.spaces);
    const pages = new Map(spaces.get('pagemap-7'));
    const changing = 16 + (this.step % 5);
    const bytes = Buffer.from(`step ${this.step}`);
    pages.set(changing, withBytes(pages.get(changing) ?? randomPage(1), 100, bytes));
    pages.set(21, randomPage(this.step * 77));
    this.#memory = { ...this.#memory, spaces: spaces.set('pagemap-7', pages) };
  }

  /** What the store holds now. */
  facts(): StoreFacts {
    return factsOf(this.store);
  }
}

/** What a capture is of. */
export interface CaptureShape {
  /** The same memory as the last time. */
  readonly isSame?: boolean;
  /** With files of a container. */
  readonly hasFiles?: boolean;
}

/** All snapshots of all timelines, removed ones too. */
export function allSnapshots(store: SnapshotStore): Snapshot[] {
  return store
    .timelines()
    .flatMap((timeline) => [...timeline.list(), ...timeline.list({ removed: true })]);
}

/** What a store says that it holds. */
export function factsOf(store: SnapshotStore): StoreFacts {
  const all = allSnapshots(store);
  return {
    snapshots: new Map(all.map((snapshot) => [snapshot.id, JSON.stringify(snapshot)])),
    lastSequence: Math.max(0, ...all.map(({ sequence }) => sequence)),
    packs: packFiles(store.directory).map((path) => path.slice(-69)),
  };
}

function makeFiles(path: string, seed: number): string {
  mkdirSync(join(path, 'etc'), { recursive: true });
  writeFileSync(join(path, 'etc', 'settings'), `seed ${seed}\n`);
  writeFileSync(join(path, 'noise'), Buffer.concat([...randomPages(0, 2, seed % 2).values()]));
  symlinkSync('etc/settings', join(path, 'link'));
  return path;
}
