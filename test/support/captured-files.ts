/**
 * Container files for tests of captures and restores: upper directories made by lines of Python
 * (which can do what Node.js cannot), a door that counts what is opened, and the comparison of what
 * came back with what had been there.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { expect, onTestFinished, vi } from 'vitest';
import type { CaptureSource, OpenOptions, Snapshot, SnapshotStore } from '../../src/index.ts';
import { HOST_FILES } from '../../src/index.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { listTree } from './listing.ts';
import { makeDump } from './made-dumps.ts';
import { openStore } from './stores.ts';

/** Kernels stamp files with a clock of some milliseconds: a file must be older to be told apart. */
export const STAMP_MS = 12;

/** Whether devices, owners and attributes of the system can be made; says so when not. */
export const isRoot: boolean = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, tests of the files of containers\n');

const PRELUDE = `
import os, random, shutil, socket, stat
os.umask(0o022)
def write(name, content, mode='wb'):
    with open(name, mode) as file: file.write(content)
def noise(seed, size):
    return random.Random(seed).randbytes(size)
def sparse(name, size, runs):
    with open(name, 'wb') as file:
        file.truncate(size)
        for start, content in runs:
            file.seek(start)
            file.write(content)
`;

/** Runs lines of Python in a directory, which is made if need be; returns the directory. */
export function python(root: string, lines: string): string {
  mkdirSync(root, { recursive: true, mode: 0o755 });
  execFileSync('python3', ['-I', '-S', '-c', PRELUDE + lines], { cwd: root, stdio: 'pipe' });
  return root;
}

/** For one test, the library believes that it is ten seconds later: what is there has settled. */
export function letSettle(): void {
  const real = Date.now;
  const spy = vi.spyOn(Date, 'now').mockImplementation(() => real() + 10_000);
  onTestFinished(() => spy.mockRestore());
}

/** Lets the clock that stamps files move on. */
export function nextStamp(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STAMP_MS);
}

/** A door that knows which regular files were opened to be read. */
export function countingDoor(): { files: Files; opened: () => number } {
  let count = 0;
  const openRegular: Files['openRegular'] = (path) => {
    count += 1;
    return nodeFiles.openRegular(path);
  };
  // What was opened since it was asked last.
  const opened = (): number => {
    const since = count;
    count = 0;
    return since;
  };
  return { files: { ...nodeFiles, openRegular }, opened };
}

/** A store, and captures into its timeline `t`, with images that are always the same. */
export interface FilesStore {
  readonly store: SnapshotStore;
  readonly images: string;
  readonly capture: (files?: string, source?: Partial<CaptureSource>) => Promise<Snapshot>;
}

/** Opens a store for one test. */
export async function openFilesStore(
  newPath: () => string,
  options: OpenOptions = {},
): Promise<FilesStore> {
  const store = await openStore(newPath(), options);
  const images = makeDump(newPath(), 1, 4);
  const capture = (files?: string, source: Partial<CaptureSource> = {}): Promise<Snapshot> =>
    store.timeline('t').capture({ images, files, ...source });
  return { store, images, capture };
}

/** The listing of a directory without host files and sockets, which do not come back. */
export function listingOf(directory: string, hostFiles: readonly string[] = HOST_FILES): string[] {
  const left = new Set(hostFiles.map((path) => path.slice(1)));
  return listTree(directory).filter((line) => {
    const { path, type } = JSON.parse(line) as { path: string; type: string };
    const isHostFile = left.has(path) && (type === 'file' || type === 'link');
    return !isHostFile && type !== 'socket';
  });
}

/** Fails unless the files of a snapshot come out with this listing. */
export async function expectFiles(
  snapshot: Snapshot,
  listing: readonly string[],
  newPath: () => string,
): Promise<void> {
  const [images, files] = [newPath(), newPath()];
  await snapshot.restore(images, { files });
  const restored = listTree(files);
  rmSync(images, { recursive: true });
  rmSync(files, { recursive: true });
  expect(restored).toEqual(listing);
}
