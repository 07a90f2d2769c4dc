/**
 * Files as a container leaves them in its upper directory: many small ones, and a log that grows.
 * They follow from a seed, and so does what is changed in them.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mixed } from './random.ts';
import { logLine, settingsText } from './text.ts';

const MOST_BYTES = 3000;
const CHUNK_LINES = 20_000;

/** How many small files there are, and where. */
export interface SmallFiles {
  readonly count: number;
  /** Directories that they are spread over evenly; with 1, all are in one. */
  readonly directories: number;
}

/** Path of a file, below the upper directory. */
export function smallFilePath(index: number, { directories }: SmallFiles): string {
  const name = `${String(index).padStart(6, '0')}.conf`;
  return `srv/${String(index % directories).padStart(3, '0')}/${name}`;
}

/** What is in a file: 1 to 3000 bytes; another text for each version, of another length. */
export function smallFileText(index: number, version: number): string {
  const seed = mixed(version, index);
  return settingsText(seed, 1 + (mixed(seed, 3) % MOST_BYTES));
}

/** Writes all of them into an upper directory. */
export function writeSmallFiles(upper: string, files: SmallFiles): void {
  for (let directory = 0; directory < files.directories; directory++) {
    mkdirSync(join(upper, smallFilePath(directory, files), '..'), { recursive: true });
  }
  for (let index = 0; index < files.count; index++) writeSmallFile(upper, files, index, 0);
}

/** What changes of them: how many get another version, and which. */
export interface SmallChange {
  readonly count: number;
  readonly version: number;
}

/** Some of them, each version others, and what is to be in them. */
export function changesOfSmallFiles(
  upper: string,
  files: SmallFiles,
  change: SmallChange,
): { readonly path: string; readonly text: string }[] {
  return changedIndexes(files, change).map((index) => ({
    path: join(upper, smallFilePath(index, files)),
    text: smallFileText(index, change.version),
  }));
}

/** Writes them; returns their indexes. */
export function changeSmallFiles(upper: string, files: SmallFiles, change: SmallChange): number[] {
  const indexes = changedIndexes(files, change);
  for (const index of indexes) writeSmallFile(upper, files, index, change.version);
  return indexes;
}

function changedIndexes(files: SmallFiles, { count, version }: SmallChange): number[] {
  const step = Math.max(1, Math.floor(files.count / count));
  const first = mixed(version, 5) % step;
  return Array.from({ length: Math.min(count, files.count) }, (_, i) => first + i * step);
}

function writeSmallFile(upper: string, files: SmallFiles, index: number, version: number): void {
  writeFileSync(join(upper, smallFilePath(index, files)), smallFileText(index, version));
}

/** Appends whole lines to a log, `sizeBytes` of them or a few more; returns the next line. */
export function appendLog(path: string, firstLine: number, sizeBytes: number): number {
  const fd = openSync(path, 'a');
  try {
    let line = firstLine;
    for (let written = 0; written < sizeBytes;) {
      let text = '';
      for (let i = 0; i < CHUNK_LINES && written + text.length < sizeBytes; i++) {
        text += logLine(line++);
      }
      written += writeWhole(fd, Buffer.from(text, 'latin1'));
    }
    return line;
  } finally {
    closeSync(fd);
  }
}

function writeWhole(fd: number, bytes: Uint8Array): number {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  return bytes.length;
}
