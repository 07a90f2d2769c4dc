/** Stored files that are read: checked leaf by leaf, written with their holes, or not at all. */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { PageRunsBuilder } from '../../src/manifest/page-runs.ts';
import { giveLeafBuffer, LEAF_BYTES, takeLeafBuffer } from '../../src/slices/leaf-buffer.ts';
import { read, readLeaf, readSteps } from '../../src/slices/read.ts';
import type { Session } from '../../src/slices/session.ts';
import type { ReadRequest } from '../../src/slices/tasks.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { leavesOf, type MadeFile, newSession, storeFile } from '../support/made-slices.ts';
import { PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const directory = new PackDirectory(nextPath());
/** Three leaves; the last page has 100 bytes. */
const file = storeFile(directory, 1100);
const whole = Buffer.concat(file.pages);
const opened: number[] = [];
afterAll(() => opened.forEach(closeSync));

function newFile(): { path: string; fd: number } {
  const path = nextPath();
  const fd = openSync(path, 'wx+');
  opened.push(fd);
  return { path, fd };
}

/** The request for a file from one of its leaves on. */
function requestFor(made: MadeFile, firstLeaf = 0, change: Partial<ReadRequest> = {}): ReadRequest {
  const runs = new PageRunsBuilder();
  for (const { segment, slot } of made.places.slice(firstLeaf * 512)) runs.add(segment, slot, 1);
  const { end, segment, slot } = runs.finish();
  const offset = firstLeaf * LEAF_BYTES;
  const sizeBytes = made.pages.reduce((sum, page) => sum + page.length, 0);
  return {
    snapshot: '01KAJ',
    image: 'pages-1.img',
    offset,
    bytes: sizeBytes - offset,
    end,
    segment,
    slot,
    leaves: made.leaves.subarray(firstLeaf * 32),
    fd: undefined,
    path: 'pages-1.img',
    ...change,
  };
}

describe('readSteps', () => {
  it('stops several times in each leaf, and others may read meanwhile', () => {
    const sessions = [newSession(directory), newSession(directory)];
    const targets = [newFile(), newFile(), newFile()];
    const readings = targets.map(({ fd }, i) =>
      readSteps(sessions[i % 2] as Session, requestFor(file, i, { fd })),
    );
    const steps = targets.map(() => 0);
    for (let areLeft = true; areLeft;) {
      areLeft = false;
      for (const [i, reading] of readings.entries()) {
        sessions[i % 2]?.begin();
        if (reading.next().done !== true) areLeft = true;
        steps[i] = (steps[i] as number) + 1;
        // What somebody reads at once is not in the way either.
        readLeaf(sessions[1] as Session, requestFor(file), 1);
      }
    }
    for (const [i, { path }] of targets.entries()) {
      // Not toEqual, which takes a minute for megabytes.
      expect(
        readFileSync(path)
          .subarray(i * LEAF_BYTES)
          .equals(whole.subarray(i * LEAF_BYTES)),
      ).toBe(true);
    }
    // 512 pages take at least three stops, and there is one behind each leaf.
    expect(steps[0]).toBeGreaterThan(8);
  });

  it('gives its memory back when it fails', () => {
    const session = newSession(directory);
    const leaves = Buffer.from(file.leaves);
    leaves[40] = (leaves[40] as number) ^ 1;
    const taken = takeLeafBuffer();
    giveLeafBuffer(taken);
    expect(() => read(session, requestFor({ ...file, leaves }))).toThrow('not those captured');
    expect(takeLeafBuffer()).toBe(taken);
    giveLeafBuffer(taken);
  });
});

describe('read', () => {
  it('writes a file as it was, from any of its leaves on', () => {
    const session = newSession(directory);
    for (const first of [0, 1, 2]) {
      const { fd, path } = newFile();
      read(session, requestFor(file, first, { fd, path }));
      const offset = first * LEAF_BYTES;
      expect(readFileSync(path).subarray(offset).equals(whole.subarray(offset))).toBe(true);
      expect(readFileSync(path).subarray(0, offset).equals(Buffer.alloc(offset))).toBe(true);
    }
  });

  it('leaves pages of zeros out: they are holes', () => {
    const written: [number, number][] = [];
    const files = {
      ...nodeFiles,
      write: (fd: number, source: Uint8Array, position: number) => {
        written.push([position, source.length]);
        return nodeFiles.write(fd, source, position);
      },
    };
    const { fd, path } = newFile();
    read(newSession(directory, {}, files), requestFor(file, 0, { fd, path }));
    const bytes = written.reduce((sum, [, length]) => sum + length, 0);
    const zeros = file.places.filter(({ segment }) => segment === 0).length;
    expect(zeros).toBeGreaterThan(200);
    expect(bytes).toBe(whole.length - zeros * 4096);
    // What lies together is written together.
    expect(written[0]).toEqual([0, 3 * 4096]);
    expect(fstatSync(fd).size).toBe(whole.length);
  });

  it('only checks when there is nothing to write to', () => {
    const session = newSession(directory);
    read(session, requestFor(file));
    expect(session.report().framesDecoded).toBeGreaterThan(5);
  });

  it('takes runs that end in the middle of leaves, and zeros at either end', () => {
    const packs = new PackDirectory(nextPath());
    const made = storeFile(packs, 700);
    const pages = [...made.pages.slice(3, 4), ...made.pages.slice(0, 600)];
    const places = [...made.places.slice(3, 4), ...made.places.slice(0, 600)];
    const { fd, path } = newFile();
    read(newSession(packs), requestFor(withLeaves(pages, places), 0, { fd, path }));
    // The last page is one of zeros: whoever makes the file gives it its length.
    const bytes = Buffer.alloc(601 * 4096);
    readSync(fd, bytes, 0, bytes.length, 0);
    expect(bytes.equals(Buffer.concat(pages))).toBe(true);
  });

  it('refuses a leaf that is not what was captured, and writes nothing of it', () => {
    for (const leaf of [0, 1, 2]) {
      const leaves = Uint8Array.from(file.leaves);
      leaves[leaf * 32 + 5]! ^= 1;
      const { fd, path } = newFile();
      const error = expect.objectContaining({
        code: 'CORRUPT',
        file: 'pages-1.img',
        offset: leaf * LEAF_BYTES,
        snapshot: '01KAJ',
      });
      const request = requestFor(file, 0, { leaves, fd, path });
      expect(() => read(newSession(directory), request)).toThrow(error);
      expect(readFileSync(path).length).toBeLessThanOrEqual(leaf * LEAF_BYTES);
    }
  });

  it('refuses pages in the wrong order, and a page of zeros in the place of another', () => {
    const [a, b, ...rest] = file.places;
    const wrong = [
      [b!, a!, ...rest],
      [{ segment: 0, slot: 0 }, b!, ...rest],
      [...file.places.slice(0, 3), a!, ...file.places.slice(4)],
    ];
    for (const places of wrong) {
      const request = requestFor({ ...file, places });
      expect(() => read(newSession(directory), request)).toThrow(/not those captured/);
    }
  });

  it('covers the length of the last page with its leaf', () => {
    const request = requestFor(file, 2, { bytes: whole.length - 2 * LEAF_BYTES - 1 });
    expect(() => read(newSession(directory), request)).toThrow(/not those captured/);
  });

  it('says which file could not be written, and why', () => {
    const faulty = new FaultyFiles();
    const session = newSession(directory, {}, faulty.files);
    const { fd, path } = newFile();
    faulty.arm({ calls: ['write'], nth: 3, code: 'ENOSPC' });
    const cause = expect.objectContaining({ code: 'ENOSPC' });
    const error = expect.objectContaining({ code: 'STORAGE', file: path, cause });
    expect(() => read(session, requestFor(file, 0, { fd, path }))).toThrow(error);
  });

  it('passes on what is wrong with a pack', () => {
    const packs = new PackDirectory(nextPath());
    const made = storeFile(packs, 100);
    const path = packs.pathOf(packs.table.packName(1));
    const bytes = readFileSync(path);
    bytes[16 + 30]! ^= 1;
    rmSync(path);
    writeFileSync(path, bytes);
    const session = newSession(packs);
    const error = expect.objectContaining({ code: 'CORRUPT', file: path, offset: 16 });
    expect(() => read(session, requestFor(made))).toThrow(error);
    expect(session.report().lost).toEqual([{ file: path, offset: 16 }]);
  });
});

function withLeaves(pages: readonly Uint8Array[], places: MadeFile['places']): MadeFile {
  return { pages, places, leaves: leavesOf(pages) };
}

describe('readLeaf', () => {
  it('gives each leaf in its length', () => {
    const session = newSession(directory);
    const request = requestFor(file);
    for (const leaf of [2, 0, 1]) {
      const bytes = readLeaf(session, request, leaf);
      const start = leaf * LEAF_BYTES;
      expect(Buffer.compare(bytes, whole.subarray(start, start + LEAF_BYTES))).toBe(0);
    }
  });
});
