/**
 * A stage on which tests dump and restore a live process with the real CRIU.
 *
 * The actor is a Perl program (Perl is in Debian's base system) that counts: every 20 ms it checks
 * all of a megabyte of memory, changes a page of it, and writes its count to a file. A count that
 * goes on from where a dump was taken therefore proves that memory came back. Restores happen in a
 * pid namespace of their own, so that the old process id is free. Everything a stage starts dies
 * with it; the actor also ends by itself after three minutes, should all else fail.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The versions that test/live/install-criu knows. */
export type CriuVersion = '4.1' | '4.2';

/** Every version, for tests that run with each. */
export const CRIU_VERSIONS: readonly CriuVersion[] = ['4.1', '4.2'];

/** How long a count, a dump or a restore may take before the test gives up. */
const PATIENCE_MS = 20_000;

/** The count's file always has this form and size: CRIU refuses a file that changed its size. */
const COUNT_LINE = /^(\d{20})\n$/;

const COUNTER_PROGRAM = `
  my ($path, $pages, $n) = ($ARGV[0], 256, 0);
  my $memory = "\\0" x (4096 * $pages);
  my @expected = (0) x $pages;
  open(my $file, "+>", $path) or die;
  while ($n < 9000) {
    for my $i (0 .. $pages - 1) {
      next if unpack("Q", substr($memory, $i * 4096, 8)) == $expected[$i];
      syswrite($file, "memory of page $i is damaged\\n");
      exit 1;
    }
    $n++;
    $expected[$n % $pages] = $n;
    substr($memory, ($n % $pages) * 4096, 8) = pack("Q", $n);
    sysseek($file, 0, 0);
    syswrite($file, sprintf("%020d\\n", $n));
    select(undef, undef, undef, 0.02);
  }`;

/** Path of an installed CRIU that works here, or undefined with a loud note on stderr. */
export function findCriu(version: CriuVersion): string | undefined {
  const path = `/opt/criu-timeline-criu-${version}/run`;
  const reason = whyNot(path, version);
  if (reason === undefined) return path;
  process.stderr.write(`\nSKIPPED: live tests with CRIU ${version}: ${reason}\n`);
  return undefined;
}

function whyNot(path: string, version: CriuVersion): string | undefined {
  if (process.platform !== 'linux') return 'CRIU runs on Linux only';
  if (process.getuid?.() !== 0) return 'CRIU must be run as root';
  if (!fs.existsSync('/usr/bin/perl')) return 'Perl is not installed';
  if (!fs.existsSync(path)) return `not installed; try: test/live/install-criu ${version}`;
  try {
    execFileSync(path, ['check'], { stdio: 'pipe', timeout: PATIENCE_MS });
    return undefined;
  } catch (error) {
    return `criu check fails: ${String(error)}`;
  }
}

/** A running counter, started here or restored by CRIU. */
export interface Counter {
  /** Process id outside any namespace; of a restored one, that of the namespace's holder. */
  readonly pid: number;
  /** The last count written. */
  count(): number;
  /** Waits until the count is above `value`, and returns it. */
  countAbove(value: number): Promise<number>;
  /** Kills it and waits until it is gone. */
  kill(): Promise<void>;
}

/** What is known of the count inside a dump: it lies between the two, both included. */
export interface DumpedCount {
  readonly atLeast: number;
  readonly atMost: number;
}

/** One test's directory and processes. */
export class Stage {
  /** A directory of this stage alone. */
  readonly directory: string;
  readonly #countPath: string;
  readonly #processes = new Set<ChildProcess>();
  readonly #killAll: () => void;
  #logs = 0;

  /** Makes the directory. Call `close` when done. */
  constructor() {
    this.directory = fs.mkdtempSync(join(tmpdir(), 'criu-timeline-live-'));
    this.#countPath = this.path('count');
    this.#killAll = (): void => {
      for (const child of this.#processes) child.kill('SIGKILL');
    };
    process.on('exit', this.#killAll);
  }

  /** A path inside the stage's directory. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** Starts the counter in a session of its own, without environment or terminal. */
  async startCounter(): Promise<Counter> {
    this.#clearCount();
    const child = this.#spawn('/usr/bin/perl', ['-e', COUNTER_PROGRAM, this.#countPath]);
    const counter = this.#counterOf(child, () => 'the counter does not count');
    await counter.countAbove(0);
    return counter;
  }

  /** Dumps a counter that was started here into `images`, a new directory. */
  async dump(
    criu: string,
    counter: Counter,
    images: string,
    { leaveRunning = false }: { leaveRunning?: boolean } = {},
  ): Promise<DumpedCount> {
    fs.mkdirSync(images, { recursive: true });
    const log = this.#newLog('dump');
    const atLeast = counter.count();
    const options = ['-t', String(counter.pid), '-D', images, '-o', log, '-v1'];
    const child = this.#spawn(criu, [
      'dump',
      ...options,
      ...(leaveRunning ? ['--leave-running'] : []),
    ]);
    const [code, signal] = await exitOf(child);
    if (code !== 0) throw new Error(`criu dump failed (${code ?? signal}):\n${readLog(log)}`);
    if (!leaveRunning) await counter.kill();
    // The count may have been raised in memory and not yet been written.
    return { atLeast, atMost: counter.count() + 1 };
  }

  /**
   * Restores a counter from `images`, in a pid namespace of its own; resolves when it counts. The
   * count starts at 0 on disk before, so that the first count seen was written after the restore.
   */
  async restore(criu: string, images: string): Promise<Counter> {
    this.#clearCount();
    const log = this.#newLog('restore');
    // The log and CRIU's own statistics go to the stage: `images` is only read.
    const options = ['-D', images, '-W', this.directory, '-o', log, '-v1'];
    const namespace = ['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL', '--'];
    const child = this.#spawn('/usr/bin/unshare', [...namespace, criu, 'restore', ...options]);
    const counter = this.#counterOf(child, () => `criu restore failed:\n${readLog(log)}`);
    await counter.countAbove(0);
    return counter;
  }

  /** Kills all that still runs and removes the directory. */
  async close(): Promise<void> {
    process.off('exit', this.#killAll);
    const ends = [...this.#processes].map((child) => exitOf(child));
    this.#killAll();
    await Promise.all(ends);
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  #spawn(program: string, parameters: string[]): ChildProcess {
    // `detached` is setsid(): CRIU refuses a process whose session leader is outside the dump.
    const child = spawn(program, parameters, {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: program.endsWith('perl') ? {} : { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
    child.once('error', () => this.#processes.delete(child));
    return child;
  }

  #counterOf(child: ChildProcess, describe: () => string): Counter {
    const count = (): number => readCount(this.#countPath);
    return {
      pid: child.pid ?? -1,
      count,
      countAbove: async (value) => {
        const giveUpAt = performance.now() + PATIENCE_MS;
        for (let last = count(); ; last = count()) {
          if (last > value) return last;
          if (hasExited(child)) throw new Error(`ended at ${last}: ${describe()}`);
          if (performance.now() > giveUpAt) throw new Error(`still at ${last}: ${describe()}`);
          await sleep(5);
        }
      },
      kill: async () => {
        const end = exitOf(child);
        child.kill('SIGKILL');
        await end;
      },
    };
  }

  #clearCount(): void {
    fs.writeFileSync(this.#countPath, `${'0'.repeat(20)}\n`);
  }

  #newLog(name: string): string {
    this.#logs++;
    return this.path(`${name}-${this.#logs}.log`);
  }
}

function hasExited(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** Waits until a process has ended; one that could not be started rejects. */
function exitOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (hasExited(child)) return Promise.resolve([child.exitCode, child.signalCode]);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve([code, signal]));
  });
}

/** The count on disk; 0 while the file is being made. */
function readCount(path: string): number {
  const text = fs.readFileSync(path, 'latin1');
  if (text === '') return 0;
  const digits = COUNT_LINE.exec(text)?.[1];
  if (digits === undefined) throw new Error(`the counter wrote: ${text}`);
  return Number(digits);
}

function readLog(path: string): string {
  return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '(no log)';
}
