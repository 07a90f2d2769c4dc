/** Many packs by name: opened on demand, kept a while, and missing ones named. */
import { readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { PackSet } from '../../src/pack/pack-set.ts';
import { openDescriptors, recordingDoor } from '../support/doors.ts';
import { systemError } from '../support/faulty-files.ts';
import { identityOf, makePack, numberedPage, readOut, zstd } from '../support/made-packs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

function packOnDisk(number: number): string {
  const pages = [numberedPage(number), numberedPage(number + 1)];
  const path = nextPath();
  writeFileSync(path, makePack({ segments: [{ identity: identityOf(number), pages }] }).bytes);
  return path;
}

const setOver = (files = nodeFiles) => new PackSet(files, zstd, (name) => name);

describe('PackSet', () => {
  it('reads more packs than it holds descriptors, and closes them all', () => {
    const names = Array.from({ length: 140 }, (_, i) => packOnDisk(i));
    const before = openDescriptors();
    const packs = setOver();
    for (const round of [0, 1]) {
      for (const [i, name] of names.entries()) {
        const [segment] = packs.reader(name).footer.references;
        expect([round, segment]).toEqual([round, identityOf(i)]);
        expect(readOut(packs.reader(name))).toHaveLength(3);
      }
    }
    expect(openDescriptors() - before).toBeLessThanOrEqual(128);
    packs.close();
    expect(openDescriptors()).toBe(before);
  });

  it('says which pack is missing or cut', () => {
    const [missing, cut] = [nextPath(), packOnDisk(1)];
    truncateSync(cut, 100);
    const packs = setOver();
    for (const [file, message] of [
      [missing, /pack is missing/],
      [cut, /damaged end of pack/],
    ] as const) {
      const text = expect.stringMatching(message);
      const error = expect.objectContaining({ code: 'CORRUPT', file, message: text });
      expect(() => packs.reader(file)).toThrow(error);
    }
    packs.close();
  });

  it('takes another version for damage: the store has said which one it has', () => {
    const name = packOnDisk(1);
    const bytes = readFileSync(name);
    bytes.writeUInt16LE(257, 8);
    writeFileSync(name, bytes);
    const packs = setOver();
    const message = expect.stringMatching(/pack version 257, which this store cannot have/);
    const error = expect.objectContaining({ code: 'CORRUPT', file: name, message });
    expect(() => packs.reader(name)).toThrow(error);
    expect(packs.lostFrames.all()).toEqual([{ file: name, offset: 0 }]);
    packs.close();
  });

  it('says that a pack is cut which was whole when it was opened', () => {
    const name = packOnDisk(1);
    const packs = setOver();
    const pack = packs.reader(name);
    truncateSync(name, 60);
    expect(() => readOut(pack)).toThrow(
      expect.objectContaining({ code: 'CORRUPT', file: name, offset: expect.any(Number) }),
    );
    packs.close();
  });

  it('takes a failure of the disk for what it is', () => {
    const files = {
      ...nodeFiles,
      read: () => {
        throw systemError('EIO', 'read');
      },
    };
    const packs = setOver(files);
    expect(() => packs.reader(packOnDisk(1))).toThrow(expect.objectContaining({ code: 'STORAGE' }));
    packs.close();
  });

  it('opens a pack once, until it is told to forget it', () => {
    const name = packOnDisk(1);
    const { files, calls } = recordingDoor();
    const packs = setOver(files);
    expect(packs.reader(name)).toBe(packs.reader(name));
    expect(calls.filter((call) => call.name === 'open')).toHaveLength(1);
    unlinkSync(name);
    expect(readOut(packs.reader(name))).toHaveLength(3);
    packs.forget(name);
    expect(() => packs.reader(name)).toThrow(/pack is missing/);
    packs.close();
  });

  it('keeps the footers of the packs that are used, not of those opened last', () => {
    const names = Array.from({ length: 257 }, (_, i) => packOnDisk(i));
    const packs = setOver();
    const first = packs.reader(names[0]!);
    for (const name of names) {
      packs.reader(name);
      packs.reader(names[0]!);
    }
    expect(packs.reader(names[0]!)).toBe(first);
    packs.close();
  });
});
