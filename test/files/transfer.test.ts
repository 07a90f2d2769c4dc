/** Whole reads and writes, however little each call of the door moves. */
import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import {
  exists,
  isMissing,
  readUpTo,
  readWhole,
  syncDirectory,
  writeAll,
} from '../../src/files/transfer.ts';
import { dribblingDoor, openDescriptors, recordingDoor } from '../support/doors.ts';
import { systemError } from '../support/faulty-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const contents = fc.uint8Array({ maxLength: 300 });

function made(content: Uint8Array | string): string {
  const path = nextPath();
  writeFileSync(path, content);
  return path;
}

describe.each([
  ['the real door', nodeFiles],
  ['a door that moves a byte at a time', dribblingDoor],
])('over %s', (_, files) => {
  it('writes and reads whole byte strings at any position', () => {
    fc.assert(
      fc.property(contents, fc.nat(50), fc.nat(400), (content, start, length) => {
        const path = nextPath();
        const fd = files.open(path, 'create');
        writeAll(files, fd, content, start);
        files.close(fd);
        const expected = Buffer.concat([Buffer.alloc(content.length > 0 ? start : 0), content]);
        expect(readFileSync(path)).toEqual(expected);

        const reading = files.open(path, 'read');
        const target = new Uint8Array(length).fill(0xee);
        const count = readUpTo(files, reading, target, 3);
        files.close(reading);
        expect(count).toBe(Math.min(length, Math.max(0, expected.length - 3)));
        expect(Buffer.from(target.subarray(0, count))).toEqual(expected.subarray(3, 3 + count));
        expect(target.subarray(count).every((byte) => byte === 0xee)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('reads a whole file', () => {
    const content = Uint8Array.from({ length: 1000 }, (_value, i) => i);
    expect(readWhole(files, made(content), 1000, 'CORRUPT')).toEqual(content);
    expect(readWhole(files, made(''), 0, 'CORRUPT')).toEqual(new Uint8Array(0));
  });
});

describe('writeAll', () => {
  it('gives up on a file that accepts nothing', () => {
    const files = { ...nodeFiles, write: () => 0 };
    expect(() => writeAll(files, 0, Uint8Array.of(1), 0)).toThrow(/accepted no bytes/);
    writeAll(files, 0, new Uint8Array(0), 0);
  });
});

describe('readWhole', () => {
  it('refuses a file above the maximum, with the code it was given, and reads nothing', () => {
    const path = made('12345');
    const { files, calls } = recordingDoor();
    expect(() => readWhole(files, path, 4, 'INVALID_IMAGE')).toThrow(
      expect.objectContaining({
        code: 'INVALID_IMAGE',
        file: path,
        message: expect.stringContaining('5 bytes long, at most 4 are allowed'),
      }),
    );
    expect(calls.map(({ name }) => name)).toEqual(['open', 'stat', 'close']);
  });

  it('refuses what is no regular file', () => {
    const [fifo, link] = [nextPath(), nextPath()];
    execFileSync('mkfifo', [fifo]);
    symlinkSync(made(''), link);
    const error = expect.objectContaining({ code: 'CORRUPT', file: fifo });
    expect(() => readWhole(nodeFiles, fifo, 9, 'CORRUPT')).toThrow(error);
    expect(() => readWhole(nodeFiles, '/proc', 9, 'CORRUPT')).toThrow(/not a regular file but a d/);
    expect(() => readWhole(nodeFiles, link, 9, 'CORRUPT')).toThrow(/ELOOP/);
  });

  it('notices a file that shrinks meanwhile', () => {
    const path = made('12345');
    const files: Files = {
      ...nodeFiles,
      stat: (fd) => {
        const facts = nodeFiles.stat(fd);
        truncateSync(path, 2);
        return facts;
      },
    };
    expect(() => readWhole(files, path, 9, 'CORRUPT')).toThrow(/shrank while it was read/);
  });

  it('closes what it opened, whatever happens', () => {
    const before = openDescriptors();
    readWhole(nodeFiles, made('1'), 1, 'CORRUPT');
    expect(() => readWhole(nodeFiles, made('12'), 1, 'CORRUPT')).toThrow();
    expect(openDescriptors()).toBe(before);
  });
});

describe('syncDirectory', () => {
  it('syncs the directory itself and closes it', () => {
    const { files, calls } = recordingDoor();
    syncDirectory(files, '/tmp');
    const fd = calls[0]?.result;
    expect(calls).toEqual([
      { name: 'open', values: ['/tmp', 'directory'], result: fd },
      { name: 'sync', values: [fd], result: undefined },
      { name: 'close', values: [fd], result: undefined },
    ]);
  });
});

describe('exists', () => {
  it('says yes to anything, a dangling link too, and no only to what is clearly not there', () => {
    const link = nextPath();
    symlinkSync('nowhere', link);
    expect([exists(nodeFiles, link), exists(nodeFiles, nextPath())]).toEqual([true, false]);
  });

  it('does not take another failure for a no', () => {
    const files: Files = {
      ...nodeFiles,
      lstat: () => {
        throw systemError('EACCES', 'lstat');
      },
    };
    const error = expect.objectContaining({ code: 'STORAGE', file: '/a' });
    expect(() => exists(files, '/a')).toThrow(error);
  });
});

describe('isMissing', () => {
  it('is true for ENOENT alone', () => {
    expect(isMissing(systemError('ENOENT', 'open'))).toBe(true);
    const others = [systemError('ENOTDIR', 'open'), new Error('ENOENT'), { code: 'ENOENT' }, null];
    expect(others.some((error) => isMissing(error))).toBe(false);
  });
});
