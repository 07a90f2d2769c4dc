/**
 * Checks packs. Frames are read by the crew's threads, some packs at a time; the calling thread
 * reads their bytes for their names meanwhile.
 *
 * Packs are remembered with the time, by whether everything was right; a frame that was on record
 * as damaged and reads right again (the pack was put back from a copy) is taken off the record.
 */
import { basename } from 'node:path';
import type { PackRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { LostFrame } from '../pack/lost-frames.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import type { CheckFramesRequest } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';
import { now, type Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { TaskWindow } from './task-window.ts';
import type { Budget } from './verify-budget.ts';
import type { Findings } from './verify-findings.ts';
import type { PackTimes } from './verify-order.ts';
import type { VerifyLevel } from './verify.ts';

/** What a verification works with. */
export interface Verification {
  readonly context: StoreContext;
  readonly level: VerifyLevel;
  readonly budget: Budget;
  readonly findings: Findings;
  readonly crew: Crew;
  readonly pacer: Pacer;
  /** Says how many are done. */
  readonly onDone: (done: number) => void;
}

/** What of the packs was read. */
export interface PacksChecked {
  readonly packs: number;
  /** Packs that the budget did not reach. */
  readonly leftOut: readonly PackRow[];
  /** When the pack that has waited longest was last found right; undefined for never. */
  readonly oldestMs: number | undefined;
}

/** Frames of a task: 2 MiB of pages, some 5 ms. */
const FRAMES_OF_TASK = 8;
/** What is read here in less time than it takes to send it away. */
const SMALL_PAGES = 16;
/** Packs whose times are written in one transaction. */
const PACKS_OF_WRITE = 64;

/**
 * Checks the packs that the budget allows.
 *
 * @param ordered in which order.
 */
export async function checkPacks(
  verification: Verification,
  ordered: readonly PackRow[],
  { verified, damaged }: PackTimes,
): Promise<PacksChecked> {
  const { context, budget, crew, level, findings } = verification;
  const times = new Map(verified);
  const health = new HealthRecord(context);
  const [packs, frames] = [new TaskWindow(crew.width + 1), new TaskWindow(2 * crew.width)];
  let [begun, done] = [0, 0];
  const checkOne = async (row: PackRow): Promise<void> => {
    const isRight = await new PackCheck(verification, row, { frames, health }).run();
    if (level !== 'quick') {
      if (isRight) times.set(row.name, now());
      await health.found(row.name, isRight);
    }
    verification.onDone((done += 1));
  };
  try {
    for (const row of ordered) {
      if (budget.isSpent) break;
      budget.spend(level === 'quick' ? 0 : row.sizeBytes);
      begun += 1;
      await packs.add(checkOne(row));
    }
    await packs.end();
  } finally {
    await packs.settle();
    await health.write();
  }
  const leftOut = ordered.slice(begun);
  for (const { name } of leftOut) {
    const file = context.layout.packFile(name);
    const what = 'on record as damaged, and not read this time';
    if (damaged.has(name) || context.packs.lostFrames.mayHave(file)) findings.notePack(file, what);
  }
  const timeOf = ({ name }: PackRow): number => times.get(name) ?? 0;
  const oldest = ordered.reduce((least, row) => Math.min(least, timeOf(row)), Infinity);
  return { packs: begun, leftOut, oldestMs: oldest > 0 && oldest < Infinity ? oldest : undefined };
}

/** Puts on record what was found right; that it cannot is no failure of the verification. */
class HealthRecord {
  readonly #context: StoreContext;
  #right: string[] = [];
  #damaged: string[] = [];
  #mended: LostFrame[] = [];

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** A pack that was read. */
  async found(name: string, isRight: boolean): Promise<void> {
    (isRight ? this.#right : this.#damaged).push(name);
    if (this.#right.length + this.#damaged.length >= PACKS_OF_WRITE) await this.write();
  }

  /** A frame that was on record as damaged, and is not. */
  mended(frame: LostFrame): void {
    this.#context.packs.lostFrames.forget(frame);
    this.#mended.push(frame);
  }

  async write(): Promise<void> {
    const { catalog, staging } = this.#context;
    const [right, damaged, mended] = [this.#right, this.#damaged, this.#mended];
    [this.#right, this.#damaged, this.#mended] = [[], [], []];
    if (staging === undefined) return;
    const frames = mended.map(({ file, offset }) => ({ pack: basename(file, '.pack'), offset }));
    try {
      if (frames.length > 0) await catalog.packRecords.removeLostFrames(frames);
      if (right.length > 0) await catalog.packRecords.putVerified(right, now());
      if (damaged.length > 0) await catalog.packRecords.putDamaged(damaged, now());
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
}

/** The check of one pack. */
class PackCheck {
  readonly #verification: Verification;
  readonly #row: PackRow;
  readonly #frames: TaskWindow;
  readonly #health: HealthRecord;
  readonly #running: Promise<void>[] = [];
  readonly #damaged = new Set<number>();
  #isRight = true;
  #isWhole = true;

  constructor(
    verification: Verification,
    row: PackRow,
    shared: { readonly frames: TaskWindow; readonly health: HealthRecord },
  ) {
    this.#verification = verification;
    this.#row = row;
    this.#frames = shared.frames;
    this.#health = shared.health;
  }

  /** Whether everything is right. */
  async run(): Promise<boolean> {
    const reader = this.#attempt(() => this.#open());
    if (reader === undefined) return false;
    try {
      await this.#attemptLater(() => this.#checkTables(reader));
    } finally {
      await Promise.all(this.#running);
    }
    if (this.#verification.level !== 'quick' && this.#isWhole) this.#forgetMended(reader);
    return this.#isRight;
  }

  #open(): PackReader {
    const { packs } = this.#verification.context;
    const { name, sizeBytes } = this.#row;
    // Afresh: the footer in memory says nothing about the disk.
    packs.forget(name);
    const opened = packs.reader(name);
    if (opened.sizeBytes === sizeBytes) return opened;
    throw opened.corrupt(`${opened.sizeBytes} bytes long, ${sizeBytes} expected`);
  }

  async #checkTables(reader: PackReader): Promise<void> {
    const { pacer, level } = this.#verification;
    await this.#attemptLater(async () => {
      for (const _ of reader.digestBlocks.steps()) await pacer.pause();
    });
    this.#attempt(() => reader.readStates());
    for (const segment of reader.footer.references.keys()) {
      for (let number = 0; number < reader.tables.count(segment); number++) {
        const table = this.#attempt(() => reader.tables.at(segment, number));
        await pacer.pause();
        if (table !== undefined && level !== 'quick')
          await this.#checkTable(segment, number, table);
      }
    }
    if (level !== 'quick') await this.#attemptLater(() => this.#checkName(reader));
  }

  async #checkTable(segment: number, number: number, table: FrameTable): Promise<void> {
    for (let first = 0; first < table.length; first += FRAMES_OF_TASK) {
      const end = Math.min(table.length, first + FRAMES_OF_TASK);
      await this.#verification.pacer.pause();
      const request = { pack: this.#row.name, segment, table: number, first, end };
      const task = this.#attemptLater(() => this.#checkFrames(request, table));
      // Only waited for: a failure that nobody handles yet ends the process.
      this.#running.push(
        task.then(
          () => undefined,
          () => undefined,
        ),
      );
      await this.#frames.add(task);
    }
  }

  async #checkFrames(request: CheckFramesRequest, table: FrameTable): Promise<void> {
    const { crew, context, findings } = this.#verification;
    let pages = 0;
    for (let i = request.first; i < request.end; i++) pages += table.pagesAt(i);
    const damage =
      pages <= SMALL_PAGES
        ? crew.runHere('checkFrames', request)
        : await crew.run('checkFrames', request);
    const file = context.layout.packFile(this.#row.name);
    for (const { frame, code, summary, offset } of damage) {
      this.#isRight = false;
      this.#damaged.add(frame);
      findings.add(new StoreError(code, summary, { file, offset }));
    }
  }

  async #checkName(reader: PackReader): Promise<void> {
    const steps = reader.nameSteps();
    for (;;) {
      const step = steps.next();
      if (step.done === true) {
        if (step.value === this.#row.name) return;
        throw reader.corrupt('its SHA-256 is not its name');
      }
      await this.#verification.pacer.pause();
    }
  }

  /** All of its frames could be looked at: those that were lost and read right are lost no more. */
  #forgetMended({ file }: PackReader): void {
    const { lostFrames } = this.#verification.context.packs;
    for (const offset of lostFrames.offsetsOf(file)) {
      if (!this.#damaged.has(offset)) this.#health.mended({ file, offset });
    }
  }

  #attempt<T>(check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  async #attemptLater<T>(check: () => Promise<T>): Promise<T | undefined> {
    try {
      return await check();
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.#isRight = false;
    this.#isWhole = false;
    this.#verification.findings.add(error);
  }
}
