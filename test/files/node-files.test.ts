/** The real door: what it opens and what it refuses to follow or to wait for. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openDescriptors } from '../support/doors.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const bytes = (text: string) => new TextEncoder().encode(text);

let umask = 0;
beforeAll(() => {
  umask = process.umask(0o077);
});
afterAll(() => void process.umask(umask));

function made(content = 'abc'): string {
  const path = nextPath();
  writeFileSync(path, content);
  return path;
}

function withFile<T>(fd: number, action: (fd: number) => T): T {
  try {
    return action(fd);
  } finally {
    closeSync(fd);
  }
}

describe('open', () => {
  it('creates a file with mode 0600, or the one it is told', () => {
    const [path, other] = [nextPath(), nextPath()];
    withFile(nodeFiles.open(path, 'create'), () => undefined);
    withFile(nodeFiles.open(other, 'create', 0o400), () => undefined);
    expect([statSync(path).mode & 0o7777, statSync(other).mode & 0o7777]).toEqual([0o600, 0o400]);
  });

  it('creates nothing where something is, not even behind a dangling link', () => {
    const path = made();
    expect(() => nodeFiles.open(path, 'create')).toThrow(/EEXIST/);
    expect(readFileSync(path, 'utf8')).toBe('abc');
    const link = nextPath();
    const target = nextPath();
    symlinkSync(target, link);
    expect(() => nodeFiles.open(link, 'create')).toThrow(/EEXIST/);
    expect(existsSync(target)).toBe(false);
  });

  it.each(['read', 'write'] as const)('to %s does not follow a link', (how) => {
    const link = nextPath();
    symlinkSync(made(), link);
    expect(() => nodeFiles.open(link, how)).toThrow(/ELOOP/);
  });

  it('of a fifo does not wait for the other end', () => {
    const path = nextPath();
    execFileSync('mkfifo', [path]);
    withFile(nodeFiles.open(path, 'read'), (fd) => expect(nodeFiles.stat(fd).kind).toBe('other'));
    expect(() => nodeFiles.open(path, 'write')).toThrow(/ENXIO/);
  });

  it('to write neither makes nor empties a file', () => {
    const path = made('abc');
    withFile(nodeFiles.open(path, 'write'), (fd) => nodeFiles.write(fd, bytes('X'), 1));
    expect(readFileSync(path, 'utf8')).toBe('aXc');
    expect(() => nodeFiles.open(nextPath(), 'write')).toThrow(/ENOENT/);
  });

  it('of a directory takes only directories', () => {
    expect(() => nodeFiles.open(made(), 'directory')).toThrow(/ENOTDIR/);
    const directory = nextPath();
    nodeFiles.mkdir(directory);
    withFile(nodeFiles.open(directory, 'directory'), (fd) => {
      expect(nodeFiles.stat(fd).kind).toBe('directory');
      nodeFiles.sync(fd);
    });
  });

  it('takes names that are not UTF-8', () => {
    const path = Buffer.concat([Buffer.from(`${nextPath()}-`), Buffer.of(0xff, 0xfe)]);
    withFile(nodeFiles.open(path, 'create'), (fd) => nodeFiles.write(fd, bytes('raw'), 0));
    withFile(nodeFiles.open(path, 'read'), (fd) => expect(nodeFiles.stat(fd).sizeBytes).toBe(3));
    nodeFiles.unlink(path);
    expect(() => nodeFiles.lstat(path)).toThrow(/ENOENT/);
  });
});

describe('an open file', () => {
  it('is read and written at positions, and tells its end by 0', () => {
    const path = nextPath();
    withFile(nodeFiles.open(path, 'create'), (fd) => {
      expect(nodeFiles.write(fd, bytes('cd'), 2)).toBe(2);
      expect(nodeFiles.write(fd, bytes('ab'), 0)).toBe(2);
      nodeFiles.truncate(fd, 5);
      nodeFiles.chmod(fd, 0o4755);
    });
    withFile(nodeFiles.open(path, 'read'), (fd) => {
      const target = new Uint8Array(4);
      expect(nodeFiles.read(fd, target, 1)).toBe(4);
      expect(target).toEqual(bytes('bcd\0'));
      expect(nodeFiles.read(fd, target, 5)).toBe(0);
    });
    expect(nodeFiles.lstat(path)).toMatchObject({ kind: 'file', mode: 0o4755, sizeBytes: 5 });
  });

  it('reads into the view that it is given, not beside it', () => {
    withFile(nodeFiles.open(made('abcdef'), 'read'), (fd) => {
      const buffer = new Uint8Array(6).fill(0x2e);
      expect(nodeFiles.read(fd, buffer.subarray(2, 4), 1)).toBe(2);
      expect(new TextDecoder().decode(buffer)).toBe('..bc..');
    });
  });
});

describe('facts', () => {
  it('tell kinds, times to the nanosecond, and the same file by any of its names', () => {
    const [path, link, other] = [made(), nextPath(), nextPath()];
    symlinkSync('anywhere', link);
    nodeFiles.link(path, other);
    execFileSync('touch', ['-d', '1969-12-31T23:59:59.123456789Z', path]);
    const facts = nodeFiles.lstat(path);
    expect(facts.modifiedNs).toBe(-876543211n);
    expect(nodeFiles.lstat(other)).toEqual(facts);
    expect(withFile(nodeFiles.open(path, 'read'), (fd) => nodeFiles.stat(fd))).toEqual(facts);
    expect(nodeFiles.lstat(link).kind).toBe('link');
    expect(nodeFiles.readlink(link)).toEqual(Buffer.from('anywhere'));
    const before = facts.changedNs;
    utimesSync(path, 5, 5);
    expect(nodeFiles.lstat(path)).toMatchObject({ modifiedNs: 5_000_000_000n });
    expect(nodeFiles.lstat(path).changedNs).toBeGreaterThanOrEqual(before);
  });
});

describe('a directory', () => {
  it('is made with mode 0700', () => {
    const path = nextPath();
    nodeFiles.mkdir(path);
    expect(statSync(path).mode & 0o7777).toBe(0o700);
    expect(() => nodeFiles.mkdir(path)).toThrow(/EEXIST/);
  });

  it('is listed in the order of the bytes of its names, whatever they are', () => {
    const names = fc.uniqueArray(
      fc
        .uint8Array({ minLength: 1, maxLength: 4, min: 1 })
        .filter((name) => !name.includes(0x2f) && !/^\.\.?$/.test(Buffer.from(name).toString())),
      { selector: (name) => Buffer.from(name).toString('hex'), maxLength: 12 },
    );
    fc.assert(
      fc.property(names, (list) => {
        const path = nextPath();
        mkdirSync(path);
        for (const name of list) {
          const file = Buffer.concat([Buffer.from(`${path}/`), name]);
          closeSync(nodeFiles.open(file, 'create'));
        }
        const expected = list.map((name) => Buffer.from(name)).sort((a, b) => Buffer.compare(a, b));
        expect(nodeFiles.list(path)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('is removed as a tree, without following links out of it', () => {
    const [kept, root] = [made('kept'), nextPath()];
    mkdirSync(join(root, 'a', 'b'), { recursive: true });
    writeFileSync(join(root, 'a', 'b', 'file'), '');
    symlinkSync(kept, join(root, 'a', 'link'));
    chmodSync(join(root, 'a', 'b', 'file'), 0o400);
    nodeFiles.removeTree(root);
    expect([existsSync(root), readFileSync(kept, 'utf8')]).toEqual([false, 'kept']);
    nodeFiles.removeTree(root);
  });

  it('for temporary files is new and private', () => {
    const paths = [nodeFiles.makeTemporaryDirectory('x-'), nodeFiles.makeTemporaryDirectory('x-')];
    expect(paths[0]).not.toBe(paths[1]);
    for (const path of paths) {
      expect(statSync(path).mode & 0o7777).toBe(0o700);
      nodeFiles.rmdir(path);
    }
  });

  it('tells how much may still be written', () => {
    const { freeBytes, type } = nodeFiles.space('/proc');
    expect([freeBytes, type]).toEqual([0, 0x9fa0]);
  });
});

describe('rename', () => {
  it('replaces a file in one step', () => {
    const [from, to] = [made('new'), made('old')];
    nodeFiles.rename(from, to);
    expect([existsSync(from), readFileSync(to, 'utf8')]).toEqual([false, 'new']);
    expect(nodeFiles.realpath(to)).toBe(to);
  });
});

describe('setMode', () => {
  it('sets the bits of files, directories and fifos, whatever the umask is', () => {
    const [directory, fifo] = [nextPath(), nextPath()];
    mkdirSync(directory);
    execFileSync('mkfifo', [fifo]);
    for (const path of [made(), directory, fifo]) {
      nodeFiles.setMode(path, 0o6757);
      expect(statSync(path).mode & 0o7777).toBe(0o6757);
      nodeFiles.setMode(Buffer.from(path), 0);
      expect(statSync(path).mode & 0o7777).toBe(0);
    }
  });

  it('neither follows nor changes a link, and leaves nothing open', () => {
    const [target, link] = [made(), nextPath()];
    chmodSync(target, 0o600);
    symlinkSync(target, link);
    const before = openDescriptors();
    expect(() => nodeFiles.setMode(link, 0o777)).toThrow(/ELOOP/);
    expect(() => nodeFiles.setMode(nextPath(), 0o777)).toThrow(/ENOENT/);
    expect(openDescriptors()).toBe(before);
    expect(statSync(target).mode & 0o7777).toBe(0o600);
  });
});
