/**
 * A stage on which tests checkpoint and restore a real container with podman, runc and CRIU 4.2.
 *
 * The container counts, by a shell of busybox that is all of its image: it appends a line to a log,
 * writes a row of a table, and then its count. podman does not stop a container between writing its
 * memory and its files, and a file that grows meanwhile can fail a checkpoint, so the count is held
 * while one is taken; a held container says so by a file, and its count, its log and its table
 * belong together to the byte. Told to go on, it goes on from what is in its memory. A second shell
 * ticks and is never held, so that every checkpoint is one of a container that runs.
 */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How podman keeps the files of containers: with an upper directory, or as a copy. */
export type PodmanDriver = 'overlay' | 'vfs';

/** How podman compresses an archive. */
export type PodmanCompression = 'none' | 'gzip' | 'zstd';

/** What is in a held container. */
export interface Moment {
  readonly count: number;
  readonly log: string;
  /** SHA-256 of the table, in hex. */
  readonly tableDigest: string;
  readonly ticks: number;
}

/** How long one command, and with it waiting for a count, may take before the test gives up. */
const PATIENCE_MS = 60_000;

/** Enough for any log of a container. */
const OUTPUT_BYTES = 64 * 1024 * 1024;

const execute = promisify(execFile);
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const PODMAN = script('podman-in');
const NAME = 'counting';

// Files that are open while a checkpoint is taken must not change their sizes: ticks have one size.
const COUNTING_PROGRAM = `
  rm /srv/deleted
  dd if=/dev/zero of=/srv/table bs=4096 count=64 2> /dev/null
  printf '%020d' 0 > /srv/ticks
  ticks() {
    t=0
    while true; do
      t=$((t + 1))
      printf '%020d' $t | dd of=/srv/ticks conv=notrunc 2> /dev/null
      sleep 0.02
    done
  }
  ticks &
  n=0
  while true; do
    if [ -e /srv/hold ]; then
      [ -e /srv/held ] || : > /srv/held
    else
      rm -f /srv/held
      n=$((n + 1))
      echo "line $n" >> /srv/log
      printf '%08d' $n | dd of=/srv/table bs=4096 seek=$((n % 64)) conv=notrunc 2> /dev/null
      echo $n > /srv/count
    fi
    sleep 0.02
  done`;

/** The log of a container whose count is so high. */
export function logUpTo(count: number): string {
  return Array.from({ length: count }, (_, i) => `line ${i + 1}\n`).join('');
}

/** How podman works on this machine, or undefined with a loud note on stderr. */
export function findPodman(): PodmanDriver | undefined {
  const { status, stdout, stderr, error } = spawnSync(script('install-podman'), ['--check'], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
  });
  const driver = /^works with: (overlay|vfs)$/m.exec(stdout)?.[1];
  if (status === 0 && driver !== undefined) return driver as PodmanDriver;
  const reason = error === undefined ? stderr.trimEnd() : String(error);
  process.stderr.write(`\nSKIPPED: live tests with podman: ${reason}\n`);
  return undefined;
}

/** A directory with a podman of its own, and what runs in it. */
export class PodmanStage {
  /** A directory of this stage alone. */
  readonly directory: string;
  readonly #root: string;
  readonly #removeAll: () => void;

  /** Makes the directory, and in it the image. Call `close` when done. */
  constructor(driver: PodmanDriver) {
    this.directory = fs.mkdtempSync(join(tmpdir(), 'criu-timeline-podman-'));
    this.#root = this.path('podman');
    this.#removeAll = (): void => {
      execFileSync(PODMAN, [this.#root, '--remove'], { stdio: 'pipe' });
      fs.rmSync(this.directory, { recursive: true, force: true });
    };
    process.on('exit', this.#removeAll);
    execFileSync(PODMAN, [this.#root, '--create', driver], { stdio: 'pipe' });
    const image = this.path('image');
    for (const name of ['bin', 'srv', 'tmp']) fs.mkdirSync(join(image, name), { recursive: true });
    fs.copyFileSync('/bin/busybox', join(image, 'bin/sh'));
    fs.writeFileSync(join(image, 'srv/kept'), 'kept');
    fs.writeFileSync(join(image, 'srv/deleted'), 'deleted');
    execFileSync('tar', ['-C', image, '-cf', this.path('image.tar'), '.'], { stdio: 'pipe' });
    execFileSync(PODMAN, [this.#root, 'import', this.path('image.tar'), NAME], { stdio: 'pipe' });
  }

  /** A path inside the stage's directory. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** Starts the container, which must not be there; resolves when it counts. */
  async start(): Promise<Container> {
    await this.#podman('run', '--detach', '--name', NAME, NAME, '/bin/sh', '-c', COUNTING_PROGRAM);
    const container = this.#container();
    await container.countAbove(0);
    return container;
  }

  /** Restores the container, which must not be there, from an archive. */
  async restore(archive: string): Promise<Container> {
    await this.#podman('container', 'restore', '--import', archive);
    return this.#container();
  }

  /** Ends all that still runs and removes the directory. */
  async close(): Promise<void> {
    await this.#podman('--remove');
    fs.rmSync(this.directory, { recursive: true, force: true });
    process.off('exit', this.#removeAll);
  }

  #container(): Container {
    return new Container((...parameters) => this.#podman(...parameters));
  }

  async #podman(...parameters: string[]): Promise<string> {
    const { stdout } = await execute(PODMAN, [this.#root, ...parameters], {
      timeout: PATIENCE_MS,
      maxBuffer: OUTPUT_BYTES,
    });
    return stdout;
  }
}

/** The counting container, started or restored. */
export class Container {
  readonly #podman: (...parameters: string[]) => Promise<string>;

  /** Stages make them. */
  constructor(podman: (...parameters: string[]) => Promise<string>) {
    this.#podman = podman;
  }

  /** Waits until the count is above `value`; the container must not be held. */
  async countAbove(value: number): Promise<void> {
    await this.#shell(`until [ "$(cat /srv/count)" -gt ${value} ]; do sleep 0.02; done`);
  }

  /** Makes the count stop between two numbers, and tells what there is. */
  async hold(): Promise<Moment> {
    await this.#shell(': > /srv/hold; until [ -e /srv/held ]; do sleep 0.02; done');
    return await this.moment();
  }

  /** What is in the container, which is held. */
  async moment(): Promise<Moment> {
    const told = await this.#shell(
      'cd /srv; cat count; cat ticks; echo; sha256sum < table; cat log',
    );
    const [count, ticks, tableDigest = '', ...log] = told.split('\n');
    return {
      count: Number(count),
      log: log.join('\n'),
      tableDigest: tableDigest.slice(0, 64),
      ticks: Number(ticks),
    };
  }

  /** Lets a held count go on. */
  async goOn(): Promise<void> {
    await this.#shell('rm /srv/hold; while [ -e /srv/held ]; do sleep 0.02; done');
  }

  /** Has podman write an archive of the container, which goes on running. */
  async checkpoint(archive: string, compression: PodmanCompression): Promise<void> {
    const how = ['--leave-running', '--compress', compression, '--export', archive];
    await this.#podman('container', 'checkpoint', ...how, NAME);
  }

  /** Where the machine keeps what the container has changed; with overlay only. */
  async upperDirectory(): Promise<string> {
    const what = '{{.GraphDriver.Data.UpperDir}}';
    return (await this.#podman('container', 'inspect', '--format', what, NAME)).trimEnd();
  }

  /** Ends the container, and its files with it. */
  async remove(): Promise<void> {
    await this.#podman('rm', '--force', '--time', '0', NAME);
  }

  async #shell(command: string): Promise<string> {
    return await this.#podman('exec', NAME, '/bin/sh', '-c', command);
  }
}
