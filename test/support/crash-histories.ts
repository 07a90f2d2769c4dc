/**
 * Cuts the power at every moment of a history of operations: plays it once on a recording door,
 * then makes the images of the disk that each moment may leave, and checks the store in each.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Files } from '../../src/files/files.ts';
import { CrashingFiles, type DiskEvent, type RecordedEvent } from './crashing-files.ts';
import { type DatabaseCut, databaseCuts } from './database-cuts.ts';
import { Disk } from './disk-model.ts';
import {
  type Choice,
  digestOf,
  type ImageEntry,
  imageOf,
  randomChoice,
  SYSTEMATIC,
  writeImage,
} from './disk-images.ts';
import { type Expectation, ImageCheck } from './image-check.ts';
import { makeDump } from './made-dumps.ts';
import { type Content, type StoreFacts, type StoreOperation, World } from './store-operations.ts';

/** What happened, and what the store held when each step was acknowledged. */
export interface PlayedHistory {
  readonly name: string;
  readonly directory: string;
  readonly events: readonly RecordedEvent[];
  /** By step; step 0 makes the store. */
  readonly facts: readonly StoreFacts[];
  /** What it held once all was prepared for a step, where that is something else. */
  readonly prepared: ReadonlyMap<number, StoreFacts>;
  readonly contents: ReadonlyMap<string, Content>;
  /** Steps that leave stores which may have to be repaired. */
  readonly repairs: ReadonlySet<number>;
}

/** How crashes are tried. */
export interface CrashOptions {
  /** The power is cut in this step and later; all before are only played. */
  readonly fromStep?: number;
  /** The power is cut only when nothing is under way. */
  readonly whenIdle?: boolean;
  /** Of the different images, so many are checked: all, unless it is less than 1. */
  readonly share?: number;
  /** Random images for each moment, beyond the systematic ones. */
  readonly randomImages?: number;
  /** Where chance comes from. */
  readonly random?: () => number;
  /** Ends the search when so many images were found to be wrong. */
  readonly maxComplaints?: number;
}

/** What was tried, and what was found. */
export interface CrashReport {
  /** Moments at which the power was cut: between two changes. */
  moments: number;
  /** Images that these moments may leave. */
  images: number;
  /** Different ones, each of which was checked. */
  checked: number;
  readonly complaints: string[];
}

const STORE = 'store';

/** Makes a store and runs operations on it, recording all. */
export async function playHistory(
  newPath: () => string,
  operations: readonly StoreOperation[],
  /** Stands before the recording door: what it keeps back is not recorded. */
  door: (files: Files) => Files = (files) => files,
): Promise<PlayedHistory> {
  const directory = newPath();
  mkdirSync(directory);
  const recorder = new CrashingFiles(directory);
  const world = new World(join(directory, STORE), newPath, door(recorder.files));
  const facts: StoreFacts[] = [];
  const prepared = new Map<number, StoreFacts>();
  const play = async (step: number, run: () => Promise<void>): Promise<void> => {
    recorder.mark('begin', step);
    await run();
    const now = world.facts();
    const former = prepared.get(step) ?? facts.at(-1);
    const lastSequence = Math.max(now.lastSequence, former?.lastSequence ?? 0);
    facts.push({ ...now, lastSequence });
    recorder.mark('end', step);
  };
  await play(0, () => world.open());
  for (const [i, { run, prepare }] of operations.entries()) {
    if (prepare !== undefined) {
      recorder.mark('prepare', i + 1);
      await prepare(world);
      prepared.set(i + 1, world.facts());
    }
    await play(i + 1, () => run(world));
  }
  await world.close();
  recorder.close();
  const name = operations.map((each) => each.name).join(', ') || 'create';
  const repairs = new Set(operations.flatMap(({ isRepair }, i) => (isRepair ? [i + 1] : [])));
  const { events } = recorder;
  return { name, directory, events, facts, prepared, contents: world.contents, repairs };
}

/** Cuts the power at every moment of a history. */
export async function crashEverywhere(
  newPath: () => string,
  history: PlayedHistory,
  options: CrashOptions = {},
): Promise<CrashReport> {
  const report: CrashReport = { moments: 0, images: 0, checked: 0, complaints: [] };
  const check = new ImageCheck(newPath, makeDump(newPath(), 99, 4));
  const seen = new Set<string>();
  const { share = 1, random = Math.random } = options;
  for (const moment of momentsOf(history, options)) {
    report.moments += 1;
    for (const { name, image } of imagesOf(moment, options)) {
      report.images += 1;
      const key = `${moment.key} ${digestOf(image)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (random() >= share) continue;
      report.checked += 1;
      const directory = newPath();
      writeImage(image, directory);
      try {
        await check.checkDirectory(join(directory, STORE), moment.expectation);
      } catch (error) {
        report.complaints.push(`${history.name}: ${moment.name}, ${name}: ${firstLine(error)}`);
        if (report.complaints.length === (options.maxComplaints ?? 10)) return report;
      }
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return report;
}

/** A moment between two changes. */
interface Moment {
  readonly name: string;
  /** The same for moments at which the same is expected. */
  readonly key: string;
  readonly disk: Disk;
  readonly cuts: readonly DatabaseCut[];
  readonly expectation: Expectation;
}

/** The moments of a history, in order; each is good until the next one is asked for. */
function* momentsOf(
  history: PlayedHistory,
  { fromStep = 0, whenIdle = false }: CrashOptions,
): Generator<Moment> {
  const disk = new Disk();
  const { events, facts, prepared, contents } = history;
  let acknowledged = -1;
  let running: number | undefined;
  let isPreparing = false;
  for (const [i, { event, databases }] of events.entries()) {
    disk.apply(event);
    if (event.kind === 'prepare') isPreparing = true;
    if (event.kind === 'begin') {
      running = event.step;
      isPreparing = false;
    }
    if (event.kind === 'end') {
      acknowledged = event.step;
      running = undefined;
    }
    if ((running ?? acknowledged) < fromStep || (whenIdle && running !== undefined)) continue;
    // What prepares a step is no operation: nobody says what a cut in it may leave.
    if (isPreparing) continue;
    const next = events[i + 1]?.databases ?? databases;
    const after = running === undefined ? undefined : facts[running];
    // The last acknowledged step is the end: what follows only closes the store.
    yield {
      name: `after ${describeEvent(event)} (${i + 1} of ${events.length})`,
      key: `${acknowledged} ${running ?? 'idle'}`,
      disk,
      cuts: databaseCuts(databases, next),
      expectation: {
        before: prepared.get(running ?? -1) ?? facts[acknowledged],
        after,
        contents,
        isRepaired: history.repairs.has(running ?? acknowledged),
      },
    };
    if (running === undefined && acknowledged === facts.length - 1) return;
  }
}

/** All systematic images with SQLite's files as they were seen; few with each that was not. */
function* imagesOf(
  { disk, cuts }: Moment,
  { randomImages = 0, random = Math.random }: CrashOptions,
): Generator<{ readonly name: string; readonly image: ImageEntry[] }> {
  for (const [i, cut] of cuts.entries()) {
    const isSeen = i === 0 || i === cuts.length - 1;
    for (const choice of isSeen ? SYSTEMATIC : SYSTEMATIC.slice(0, 2)) {
      yield { name: nameOf(choice, cut), image: imageOf(disk, choice, cut.databases) };
    }
  }
  for (let i = 0; i < randomImages; i++) {
    const choice = randomChoice(`random image ${i}`, random);
    const cut = cuts[Math.floor(random() * cuts.length)] as DatabaseCut;
    yield { name: nameOf(choice, cut), image: imageOf(disk, choice, cut.databases) };
  }
}

function nameOf(choice: Choice, cut: DatabaseCut): string {
  return `${choice.name}, catalog ${cut.name}`;
}

function describeEvent(event: DiskEvent): string {
  if ('step' in event) return `the ${event.kind} of ${event.step}`;
  if (event.kind === 'rename' || event.kind === 'link') {
    return `${event.kind} of ${event.path} to ${event.to}`;
  }
  return 'path' in event ? `${event.kind} of ${event.path}` : event.kind;
}

function firstLine(error: unknown): string {
  return String(error).split('\n', 4).join(' ');
}
