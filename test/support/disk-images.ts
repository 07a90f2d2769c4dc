/**
 * What a power cut may leave of a disk: images of it as plain values, the systematic ones and any
 * number from a seed, and how they are written into a real directory.
 */
import { hash } from 'node:crypto';
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Databases } from './crashing-files.ts';
import { applied, type Disk, type DiskNode, type PendingEdit } from './disk-model.ts';

/** Decides what of the changes that were not synced is there. */
export interface Choice {
  readonly name: string;
  /** Whether an edit of a directory happened. */
  readonly keeps: (edit: PendingEdit, index: number, count: number) => boolean;
  /** The content of a file. */
  readonly content: (file: DiskNode) => Buffer;
}

const SECTOR_BYTES = 512;

const lostContent = (file: DiskNode): Buffer => file.durable;
const keptContent = (file: DiskNode): Buffer => file.content;

/** The size is there, but not the data: what file systems do that write data later than facts. */
function zerosContent(file: DiskNode): Buffer {
  const bytes = Buffer.alloc(file.content.length);
  file.durable.copy(bytes);
  return bytes;
}

/** The first half of the changes, the last of them cut within, and zeros up to the size. */
function tornContent(file: DiskNode): Buffer {
  if (file.pending.length === 0) return file.durable;
  const whole = file.pending.length >>> 1;
  let content = file.durable;
  for (const change of file.pending.slice(0, whole)) content = applied(content, change);
  const cut = file.pending[whole];
  if (cut?.kind === 'write') {
    const sectors = Math.floor(cut.bytes.length / 2 / SECTOR_BYTES) * SECTOR_BYTES;
    content = applied(content, { ...cut, bytes: cut.bytes.subarray(0, sectors) });
  }
  const bytes = Buffer.alloc(Math.max(content.length, file.content.length));
  content.copy(bytes);
  return bytes;
}

/** The images that every moment is tried with. */
export const SYSTEMATIC: readonly Choice[] = [
  { name: 'all lost', keeps: () => false, content: lostContent },
  { name: 'all kept', keeps: () => true, content: keptContent },
  { name: 'data torn', keeps: () => true, content: tornContent },
  { name: 'names without data', keeps: () => true, content: lostContent },
  { name: 'names with zeros', keeps: () => true, content: zerosContent },
  { name: 'data without names', keeps: () => false, content: keptContent },
  { name: 'new names only', keeps: ({ node }) => node !== undefined, content: keptContent },
  { name: 'removals only', keeps: ({ node }) => node === undefined, content: keptContent },
  { name: 'last names only', keeps: (_, i, count) => i === count - 1, content: keptContent },
  { name: 'all but the last names', keeps: (_, i, count) => i < count - 1, content: keptContent },
];

/** An image in which anything that was not synced may be there or not, each sector by itself. */
export function randomChoice(name: string, random: () => number): Choice {
  const likelihood = random();
  const contents = new Map<DiskNode, Buffer>();
  const content = (file: DiskNode): Buffer => {
    if (file.pending.length === 0) return file.durable;
    // A file of two names has one content.
    const known = contents.get(file) ?? randomContent(file, random, likelihood);
    contents.set(file, known);
    return known;
  };
  return { name, keeps: () => random() < likelihood, content };
}

function randomContent(file: DiskNode, random: () => number, likelihood: number): Buffer {
  let content = file.durable;
  for (const change of file.pending) {
    if (change.kind === 'truncate') {
      if (random() < likelihood) content = applied(content, change);
      continue;
    }
    // Sectors of the file, not of the write.
    let start = 0;
    while (start < change.bytes.length) {
      const toBoundary = SECTOR_BYTES - ((change.offset + start) % SECTOR_BYTES);
      const end = Math.min(change.bytes.length, start + toBoundary);
      const piece = { offset: change.offset + start, bytes: change.bytes.subarray(start, end) };
      if (random() < likelihood) content = applied(content, { kind: 'write', ...piece });
      start = end;
    }
  }
  return content;
}

/** A file or directory of an image. */
export interface ImageEntry {
  readonly path: string;
  /** Undefined for a directory. */
  readonly bytes: Buffer | undefined;
  readonly mode: number;
  /** The same for all names of a file. */
  readonly node: DiskNode | undefined;
}

/** The image that a choice and databases make of a disk. */
export function imageOf(disk: Disk, choice: Choice, databases: Databases): ImageEntry[] {
  const entries: ImageEntry[] = [];
  const visit = (directory: DiskNode, at: string): void => {
    const names = new Map(directory.durableNames);
    for (const [index, edit] of directory.edits.entries()) {
      if (!choice.keeps(edit, index, directory.edits.length)) continue;
      if (edit.node === undefined) names.delete(edit.name);
      else names.set(edit.name, edit.node);
    }
    for (const name of [...names.keys()].sort()) {
      const node = names.get(name) as DiskNode;
      const { mode } = node;
      const path = `${at}${name}`;
      if (node.kind === 'directory') {
        entries.push({ path, bytes: undefined, mode, node: undefined });
        visit(node, `${path}/`);
        continue;
      }
      const database = node.inode === undefined ? undefined : databases.get(node.inode);
      const bytes = database?.main ?? choice.content(node);
      entries.push({ path, bytes, mode, node });
      if (database?.wal === undefined) continue;
      entries.push({ path: `${path}-wal`, bytes: database.wal, mode, node: undefined });
    }
  };
  visit(disk.root, '');
  return entries;
}

const digests = new WeakMap<Buffer, string>();

/** The same for images that are the same. */
export function digestOf(image: readonly ImageEntry[]): string {
  const lines = image.map(({ path, bytes, mode }) => {
    if (bytes === undefined) return `${path} ${mode}`;
    let digest = digests.get(bytes);
    if (digest === undefined) digests.set(bytes, (digest = hash('sha1', bytes)));
    return `${path} ${mode} ${digest}`;
  });
  return hash('sha1', lines.join('\n'));
}

/** Writes an image into a new directory. */
export function writeImage(image: readonly ImageEntry[], directory: string): void {
  mkdirSync(directory);
  const written = new Map<DiskNode, string>();
  for (const { path, bytes, mode, node } of image) {
    const place = join(directory, path);
    const first = node === undefined ? undefined : written.get(node);
    if (bytes === undefined) mkdirSync(place, { mode });
    else if (first !== undefined) linkSync(first, place);
    else {
      writeFileSync(place, bytes, { mode });
      if (node !== undefined) written.set(node, place);
    }
  }
}
