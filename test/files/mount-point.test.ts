/** Mount points: of another file system, and of the same one bound to a second place. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isMountPoint } from '../../src/files/mount-point.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { canMount, mountBind, mountMemory } from '../support/mounts.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

function directory(name = ''): string {
  const path = nextPath() + name;
  mkdirSync(path);
  return path;
}

describe('isMountPoint', () => {
  it('is true for the root and for /proc, false for a plain directory', () => {
    expect(['/', '/proc', directory()].map((path) => isMountPoint(nodeFiles, path))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('looks through links and relative paths', () => {
    const link = nextPath();
    symlinkSync('/proc', link);
    expect(isMountPoint(nodeFiles, link)).toBe(true);
    expect(isMountPoint(nodeFiles, '.')).toBe(false);
  });

  it('fails for a path that is not there', () => {
    expect(() => isMountPoint(nodeFiles, nextPath())).toThrow(/ENOENT/);
  });

  it.runIf(canMount)('is true for a file system in memory, and false inside it', () => {
    const path = nextPath();
    mountMemory(path, 64);
    const inside = join(path, 'inside');
    mkdirSync(inside);
    expect([isMountPoint(nodeFiles, path), isMountPoint(nodeFiles, inside)]).toEqual([true, false]);
  });

  it.runIf(canMount).each(['', ' two  words', '\ttab', '\nline', 'back\\slash', '\\040', 'ü€'])(
    'is true for a bind mount of the same file system whose name ends with %j',
    (name) => {
      const [source, target] = [directory(), directory(name)];
      writeFileSync(join(source, 'file'), '');
      expect(isMountPoint(nodeFiles, target)).toBe(false);
      mountBind(source, target);
      expect(nodeFiles.lstat(target).device).toBe(nodeFiles.lstat(join(target, '..')).device);
      expect(isMountPoint(nodeFiles, target)).toBe(true);
      expect(isMountPoint(nodeFiles, source)).toBe(false);
    },
  );
});
