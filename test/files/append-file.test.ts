/** A file written front to back: nothing is lost or moved at the edges of its buffer. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppendFile } from '../../src/files/append-file.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { dribblingDoor, recordingDoor } from '../support/doors.ts';
import { systemError } from '../support/faulty-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const MIB = 1024 * 1024;

/** Bytes that tell where they are. */
function counted(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) + seed) & 0xff;
  return bytes;
}

describe('AppendFile', () => {
  it('keeps the order of small and big writes, across the edges of its buffer', () => {
    const edges = fc.constantFrom(0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB + 3);
    const lengths = fc.array(fc.oneof(edges, fc.nat(5000), fc.nat(MIB)), { maxLength: 6 });
    fc.assert(
      fc.property(lengths, (list) => {
        const path = nextPath();
        const pieces = list.map((length, i) => counted(length, i));
        const file = new AppendFile(nodeFiles, path);
        for (const piece of pieces) {
          const scratch = Uint8Array.from(piece);
          file.write(scratch);
          scratch.fill(0);
        }
        file.flush();
        file.close();
        expect(Buffer.compare(readFileSync(path), Buffer.concat(pieces))).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('continues short writes', () => {
    const path = nextPath();
    const file = new AppendFile(dribblingDoor, path);
    file.write(counted(700, 1));
    file.flush();
    file.write(counted(300, 2));
    file.seal();
    file.close();
    const expected = Buffer.concat([counted(700, 1), counted(300, 2)]);
    expect(readFileSync(path)).toEqual(expected);
  });

  it('writes only when its buffer is full, at a flush, or when sealed', () => {
    const { files, calls } = recordingDoor();
    const file = new AppendFile(files, nextPath());
    const writes = () => calls.filter(({ name }) => name === 'write').length;
    file.write(counted(MIB - 1, 1));
    file.write(counted(1, 1));
    expect(writes()).toBe(0);
    file.write(counted(1, 1));
    expect(writes()).toBe(1);
    file.flush();
    file.flush();
    expect(writes()).toBe(2);
    file.close();
  });

  it('is sealed by writing out, taking the right to write, and syncing, in this order', () => {
    const { files, calls } = recordingDoor();
    const path = nextPath();
    const file = new AppendFile(files, path);
    file.write(Uint8Array.of(1, 2, 3));
    file.seal();
    file.close();
    const fd = calls[0]?.result;
    const steps = calls.map(({ name, values }) => [name, values[0]]);
    expect(steps).toEqual([
      ['open', path],
      ['write', fd],
      ['chmod', fd],
      ['sync', fd],
      ['close', fd],
    ]);
    expect(statSync(path).mode & 0o7777).toBe(0o400);
  });

  it('begins with mode 0600, and only where nothing is', () => {
    const path = nextPath();
    new AppendFile(nodeFiles, path).close();
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    writeFileSync(path, 'old');
    expect(() => new AppendFile(nodeFiles, path)).toThrow(/EEXIST/);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it.each(['write', 'sync', 'chmod'] as const)('passes a failed %s on', (name) => {
    const fail = () => {
      throw systemError('EIO', name);
    };
    const files: Files = { ...nodeFiles, [name]: fail };
    const file = new AppendFile(files, nextPath());
    file.write(Uint8Array.of(1));
    expect(() => file.seal()).toThrow(/EIO/);
    file.close();
  });
});
