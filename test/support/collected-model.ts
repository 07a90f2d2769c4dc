/** The plain model of random histories with collections: what each snapshot must be. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { FileChange } from './collected-steps.ts';
import { type Memory, randomPages } from './made-memory.ts';

/** The files of a container, by name. */
export type MadeFiles = ReadonlyMap<string, Buffer>;

/** A snapshot, and what it must be. */
export interface Modelled {
  readonly id: string;
  readonly timeline: string;
  readonly sequence: number;
  readonly memory: Memory;
  readonly files: MadeFiles | undefined;
  /** Whether it was captured from a full dump, and must come out as the same bytes. */
  readonly isFull: boolean;
  state: 'live' | 'marked' | 'gone';
  isPinned: boolean;
  note: string;
}

/** What lives in a timeline now. */
export interface Moment {
  readonly memory: Memory;
  readonly files: MadeFiles;
}

/** Two processes and a shared segment; some of their pages are zeros, some the same. */
export function firstMoment(timeline: number): Moment {
  const pages = randomPages(16, 30 + 300 * timeline, 1);
  pages.set(20, Buffer.alloc(4096));
  const spaces = new Map([
    ['pagemap-1', pages],
    ['pagemap-2', new Map([...randomPages(16, 20, 1), ...randomPages(5000, 30, 2)])],
    ['pagemap-shmem-9', randomPages(0, 4, 3)],
  ]);
  const memory = { spaces, files: new Map([['files.log', Buffer.from('a first line\n')]]) };
  return { memory, files: new Map([['file-0', noise(2, 9000)]]) };
}

function noise(seed: number, length: number): Buffer {
  const pages = [...randomPages(0, Math.ceil(length / 4096), seed).values()];
  return Buffer.concat(pages).subarray(0, length);
}

/** The files after a change. */
export function changedFiles(before: MadeFiles, change: FileChange): MadeFiles {
  const files = new Map(before);
  const name = `file-${change.file}`;
  const now = before.get(name) ?? Buffer.alloc(0);
  const bytes = noise(change.seed, change.length);
  if (change.kind === 'remove') files.delete(name);
  else if (change.kind === 'write') files.set(name, bytes);
  else if (change.kind === 'append') files.set(name, Buffer.concat([now, bytes]).subarray(0, 2e5));
  else if (change.kind === 'cut') files.set(name, now.subarray(0, change.length));
  else {
    const patched = Buffer.from(now);
    patched.set(bytes.subarray(0, Math.min(50, Math.max(0, now.length - change.seed))), 0);
    files.set(name, patched);
  }
  return files;
}

/** Makes a new directory that holds the files; returns its path. */
export function writeFiles(path: string, files: MadeFiles): string {
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
  return path;
}

/** Fails unless a directory holds exactly the files. */
export function expectFilesIn(path: string, files: MadeFiles): void {
  const names = readdirSync(path).sort();
  expect(names).toEqual([...files.keys()].sort());
  for (const name of names) {
    if (files.get(name)?.equals(readFileSync(join(path, name))) !== true) {
      throw new Error(`${name} is not what was captured`);
    }
  }
}
