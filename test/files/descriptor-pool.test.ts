/** Many files, few descriptors: the one used longest ago gives way. */
import { renameSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openDescriptors, recordingDoor } from '../support/doors.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

const paths = Array.from({ length: 6 }, (_, i) => {
  const path = nextPath();
  writeFileSync(path, String(i));
  return path;
});

function contentOf(fd: number): string {
  const target = new Uint8Array(10);
  return new TextDecoder().decode(target.subarray(0, nodeFiles.read(fd, target, 0)));
}

describe('DescriptorPool', () => {
  it('always gives the right file, and never holds more than its limit', () => {
    const uses = fc.array(fc.nat(paths.length - 1), { maxLength: 60 });
    fc.assert(
      fc.property(uses, fc.integer({ min: 1, max: 4 }), (list, limit) => {
        const before = openDescriptors();
        const pool = new DescriptorPool(nodeFiles, limit);
        for (const i of list) {
          expect(contentOf(pool.use(paths[i] as string))).toBe(String(i));
          expect(openDescriptors() - before).toBeLessThanOrEqual(limit);
        }
        pool.close();
        expect(openDescriptors()).toBe(before);
      }),
      { numRuns: 50 },
    );
  });

  it('closes the one that was used longest ago, and opens the others once', () => {
    const { files, calls } = recordingDoor();
    const pool = new DescriptorPool(files, 2);
    const [a, b, c] = paths as [string, string, string];
    for (const path of [a, b, a, c, a, b]) pool.use(path);
    const opened = calls.filter(({ name }) => name === 'open').map(({ values }) => values[0]);
    expect(opened).toEqual([a, b, c, b]);
    pool.close();
    pool.close();
  });

  it('reads a file anew once it was told to forget it', () => {
    const path = nextPath();
    writeFileSync(path, 'old');
    const pool = new DescriptorPool(nodeFiles, 2);
    expect(contentOf(pool.use(path))).toBe('old');
    const next = nextPath();
    writeFileSync(next, 'new');
    renameSync(next, path);
    expect(contentOf(pool.use(path))).toBe('old');
    pool.forget(path);
    pool.forget(path);
    expect(contentOf(pool.use(path))).toBe('new');
    pool.close();
  });

  it('throws what the door throws, and goes on', () => {
    const pool = new DescriptorPool(nodeFiles, 1);
    expect(() => pool.use(nextPath())).toThrow(/ENOENT/);
    expect(contentOf(pool.use(paths[3] as string))).toBe('3');
    pool.close();
  });
});
