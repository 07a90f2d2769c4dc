/** The calls that Node.js lacks: compared with what Node and the tools of the system say. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import Module from 'node:module';
import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { FilePath } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openDescriptors } from '../support/doors.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, tests of devices, owners and trusted.*\n');

function made(content = 'abc'): string {
  const path = nextPath();
  writeFileSync(path, content);
  return path;
}

/** What Node.js says, in our words. */
function nodeSays(path: FilePath): object {
  const stats = lstatSync(path, { bigint: true });
  return {
    ...nodeFiles.lstat(path),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    linkCount: Number(stats.nlink),
    allocatedBytes: Number(stats.blocks) * 512,
  };
}

function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
}

describe('inspect', () => {
  it('says what Node.js says, about all types', async () => {
    const [file, link, directory, fifo, socket] = [
      made(),
      nextPath(),
      nextPath(),
      nextPath(),
      nextPath(),
    ];
    symlinkSync('nowhere', link);
    mkdirSync(directory);
    execFileSync('mkfifo', [fifo]);
    linkSync(file, nextPath());
    truncateSync(file, 2 ** 40);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const places = { file, link, directory, fifo, socket, character: '/dev/null' };
    for (const [type, path] of Object.entries(places)) {
      const facts = nodeFiles.inspect(path);
      expect(facts, type).toMatchObject({ type, ...nodeSays(path) });
    }
    server.close();
    expect(nodeFiles.inspect('/dev/null')).toMatchObject({ deviceMajor: 1, deviceMinor: 3 });
    expect(nodeFiles.inspect(file)).toMatchObject({ deviceMajor: 0, deviceMinor: 0, linkCount: 2 });
    expect(nodeFiles.inspect(file).allocatedBytes).toBeLessThan(2 ** 20);
  });

  it('keeps times before 1970 exact to the nanosecond', () => {
    const path = made();
    execFileSync('touch', ['-d', '1901-12-31T23:59:59.123456789Z', path]);
    expect(nodeFiles.inspect(path).modifiedNs).toBe(nodeFiles.lstat(path).modifiedNs);
    expect(nodeFiles.inspect(path).modifiedNs % 1_000_000_000n).toBe(-876_543_211n);
  });

  it('takes a name in an open directory, and an open file', () => {
    const directory = nextPath();
    mkdirSync(directory);
    const name = Buffer.of(0xff, 0x0a, 0x80);
    const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
    writeFileSync(path, 'abc');
    const [fd, file] = [nodeFiles.open(directory, 'subdirectory'), openSync(path, 'r')];
    expect(nodeFiles.inspect(name, fd)).toEqual(nodeFiles.inspect(path));
    expect(nodeFiles.inspectOpen(file)).toEqual(nodeFiles.inspect(path));
    expect(nodeFiles.inspectOpen(fd).type).toBe('directory');
    closeSync(fd);
    closeSync(file);
  });

  it('fails as Node.js does', () => {
    const path = nextPath();
    const error = codeOf(() => nodeFiles.inspect(path));
    const expected = codeOf(() => lstatSync(path)) as Error;
    expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'statx', path });
    expect((error as Error).message).toBe(expected.message.replace('lstat', 'statx'));
    expect(codeOf(() => nodeFiles.inspect(`${made()}/a`))).toMatchObject({ code: 'ENOTDIR' });
    expect(codeOf(() => nodeFiles.inspectOpen(1_000_000))).toMatchObject({ code: 'EBADF' });
    const long = '/a'.repeat(5000);
    expect(codeOf(() => nodeFiles.inspect(long))).toMatchObject({ code: 'ENAMETOOLONG' });
  });

  it('refuses a path with a NUL instead of looking at its beginning', () => {
    const path = made();
    const error = { code: 'EINVAL' };
    expect(codeOf(() => nodeFiles.inspect(`${path}\0b`))).toMatchObject(error);
    expect(codeOf(() => nodeFiles.inspect(Buffer.from(`${path}\0`)))).toMatchObject(error);
    expect(codeOf(() => nodeFiles.xattrs(`${path}\0`))).toMatchObject(error);
    expect(codeOf(() => nodeFiles.setXattr(path, bytes('user.a\0b'), bytes('')))).toMatchObject(
      error,
    );
  });

  it('works in worker threads', async () => {
    const url = new URL('../../src/files/node-files.ts', import.meta.url).href;
    const program = `import { nodeFiles } from ${JSON.stringify(url)};
      import { parentPort } from 'node:worker_threads';
      parentPort.postMessage(nodeFiles.inspect('/').type);`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    const said = await new Promise((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
    expect(said).toBe('directory');
    await worker.terminate();
  });
});

describe('a system without a C library that can be called', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('is told as one error, and all else of the door works', async () => {
    const loader = Module as unknown as { _load: (name: string) => unknown };
    vi.spyOn(loader, '_load').mockImplementation((name) => {
      throw new Error(`no ${name}`);
    });
    vi.resetModules();
    const door = await import('../../src/files/node-files.ts');
    expect(codeOf(() => door.nodeFiles.inspect('/'))).toMatchObject({
      name: 'StoreError',
      code: 'STORAGE',
      message: expect.stringMatching(/cannot call the C library/),
      cause: { message: 'no koffi' },
    });
    expect(door.nodeFiles.lstat('/').kind).toBe('directory');
  });
});

describe('entries', () => {
  it('are all names of a directory, as bytes, and nothing stays open', () => {
    const directory = nextPath();
    mkdirSync(directory);
    const names = Array.from({ length: 3000 }, (_, i) => Buffer.from([0xff, ...bytes(`${i}`)]));
    for (const name of names)
      writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), '');
    const before = openDescriptors();
    const found = [...nodeFiles.entries(directory)];
    expect(found.sort()).toEqual(names.map((name) => name.toString('latin1')).sort());
    for (const _ of nodeFiles.entries(Buffer.from(directory))) break;
    expect(openDescriptors()).toBe(before);
  });

  it('of what is no directory are an error', () => {
    expect(codeOf(() => [...nodeFiles.entries(made())])).toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('openRegular', () => {
  it('opens a file, and nothing else', () => {
    const [link, fifo] = [nextPath(), nextPath()];
    symlinkSync(made(), link);
    execFileSync('mkfifo', [fifo]);
    const before = openDescriptors();
    for (const path of [link, fifo, '/dev/null', '/']) {
      expect(codeOf(() => nodeFiles.openRegular(path))).toMatchObject({ code: 'EINVAL' });
    }
    expect(codeOf(() => nodeFiles.openRegular(nextPath()))).toMatchObject({ code: 'ENOENT' });
    const fd = nodeFiles.openRegular(made('xyz'));
    expect(readFileSync(fd, 'utf8')).toBe('xyz');
    closeSync(fd);
    expect(openDescriptors()).toBe(before);
  });
});

describe('extended attributes', () => {
  it('come back as they were set, sorted by the bytes of their names', () => {
    const path = made();
    const name = fc
      .uint8Array({ min: 1, minLength: 1, maxLength: 40 })
      .map((part) => Buffer.concat([Buffer.from('user.'), part]));
    const some = fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 60 })), {
      maxLength: 8,
      selector: ([key]) => key.toString('hex'),
    });
    fc.assert(
      fc.property(some, (list) => {
        rmSync(path);
        writeFileSync(path, '');
        for (const [key, value] of list) nodeFiles.setXattr(path, key, value);
        const sorted = list.toSorted(([a], [b]) => Buffer.compare(a, b));
        const expected = sorted.map(([key, value]) => ({ name: new Uint8Array(key), value }));
        const found = nodeFiles.xattrs(path);
        expect(found.map((x) => ({ name: new Uint8Array(x.name), value: x.value }))).toEqual(
          expected,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('are replaced by another value', () => {
    const path = made();
    nodeFiles.setXattr(path, bytes('user.a'), bytes('long value'));
    nodeFiles.setXattr(path, bytes('user.a'), bytes('new'));
    expect(nodeFiles.xattrs(path)).toEqual([{ name: bytes('user.a'), value: bytes('new') }]);
  });

  it.skipIf(!isRoot)('belong to links too, and are not those of what a link leads to', () => {
    const [file, link] = [made(), nextPath()];
    symlinkSync(file, link);
    nodeFiles.setXattr(link, bytes('trusted.l'), bytes('1'));
    nodeFiles.setXattr(file, bytes('user.f'), bytes('2'));
    expect(nodeFiles.xattrs(link)).toEqual([{ name: bytes('trusted.l'), value: bytes('1') }]);
    expect(nodeFiles.xattrs(file)).toEqual([{ name: bytes('user.f'), value: bytes('2') }]);
  });

  it.skipIf(!isRoot)('are as large as the kernel lets them be', () => {
    const path = `/dev/shm/criu-timeline-test-${process.pid}`;
    writeFileSync(path, '');
    try {
      const value = new Uint8Array(65_536).fill(7);
      nodeFiles.setXattr(path, bytes('trusted.large'), value);
      const [found] = nodeFiles.xattrs(path);
      expect(found?.value).toEqual(value);
      const error = codeOf(() =>
        nodeFiles.setXattr(path, bytes('trusted.large'), new Uint8Array(65_537)),
      );
      expect(error).toMatchObject({ code: 'E2BIG', syscall: 'lsetxattr' });
    } finally {
      rmSync(path);
    }
  });

  it('of a file system without any are none, and setting them is an error', () => {
    expect(nodeFiles.xattrs('/proc/version')).toEqual([]);
    const error = codeOf(() => nodeFiles.setXattr('/proc/version', bytes('user.a'), bytes('b')));
    expect((error as { code: string }).code).toMatch(/ENOTSUP|EPERM|EACCES/);
  });

  it('of nothing are an error', () => {
    expect(codeOf(() => nodeFiles.xattrs(nextPath()))).toMatchObject({
      code: 'ENOENT',
      syscall: 'llistxattr',
    });
  });
});

describe('making nodes', () => {
  it('makes fifos and links', () => {
    const [fifo, link] = [nextPath(), nextPath()];
    nodeFiles.makeNode(fifo, 'fifo', 0o600, 0, 0);
    expect(nodeFiles.inspect(fifo)).toMatchObject({ type: 'fifo', mode: 0o600 });
    expect(codeOf(() => nodeFiles.makeNode(fifo, 'fifo', 0o600, 0, 0))).toMatchObject({
      code: 'EEXIST',
      syscall: 'mknod',
    });
    nodeFiles.symlink(Buffer.of(0xff, 0xfe), link);
    expect(nodeFiles.readlink(link)).toEqual(Buffer.of(0xff, 0xfe));
  });

  it.skipIf(!isRoot).each([
    [0, 0],
    [1, 3],
    [0xfff, 0xfffff],
    [259, 300],
  ])('makes devices %d:%d', (major, minor) => {
    for (const type of ['character', 'block'] as const) {
      const path = nextPath();
      nodeFiles.makeNode(path, type, 0o600, major, minor);
      const expected = { type, deviceMajor: major, deviceMinor: minor, mode: 0o600 };
      expect(nodeFiles.inspect(path)).toMatchObject(expected);
      const text = execFileSync('stat', ['-c', '%Hr %Lr', path], { encoding: 'utf8' });
      expect(text.trim()).toBe(`${major} ${minor}`);
    }
  });

  it.each([
    [0x1000, 0],
    [0, 0x100000],
    [-1, 0],
  ])('refuses device %d:%d, which the kernel would cut off', (major, minor) => {
    const error = codeOf(() => nodeFiles.makeNode(nextPath(), 'character', 0o600, major, minor));
    expect(error).toMatchObject({ code: 'EINVAL' });
  });
});

describe('owners, modes and times', () => {
  it.skipIf(!isRoot)('are set, those of links too', () => {
    const [file, link] = [made(), nextPath()];
    symlinkSync(file, link);
    nodeFiles.setOwner(link, 5, 4_000_000_000);
    nodeFiles.setMode(file, 0o6751);
    expect(nodeFiles.inspect(link)).toMatchObject({ uid: 5, gid: 4_000_000_000 });
    expect(nodeFiles.inspect(file)).toMatchObject({ uid: 0, gid: 0, mode: 0o6751 });
  });

  it.each([
    [0, 0],
    [-1, 999_999_999],
    [-2_000_000_000, 1],
    [4_000_000_000, 123_456_789],
  ])('keep %d s and %d ns, of a link and not of its target', (seconds, nanoseconds) => {
    const [file, link] = [made(), nextPath()];
    symlinkSync(file, link);
    const before = statSync(file).mtimeMs;
    nodeFiles.setTimes(link, seconds, nanoseconds);
    const expected = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
    expect(nodeFiles.inspect(link).modifiedNs).toBe(expected);
    expect(lstatSync(link, { bigint: true }).atimeNs).toBe(expected);
    expect(statSync(file).mtimeMs).toBe(before);
  });

  it.each([0x3fffffff, 0x3ffffffe, 1_000_000_000, -1])('refuse %d ns', (nanoseconds) => {
    const error = codeOf(() => nodeFiles.setTimes(made(), 1, nanoseconds));
    expect(error).toMatchObject({ code: 'EINVAL' });
  });
});

describe('dataRuns', () => {
  const MIB = 2 ** 20;

  it('are where bytes were written', () => {
    const fd = openSync(nextPath(), 'w+');
    ftruncateSync(fd, 10 * MIB + 5);
    const size = 10 * MIB + 5;
    expect(nodeFiles.dataRuns(fd, size)).toEqual([]);
    expect(nodeFiles.dataRuns(fd, 0)).toEqual([]);
    for (const at of [MIB, 4 * MIB, 10 * MIB + 4]) writeSync(fd, 'x', at);
    const runs = nodeFiles.dataRuns(fd, size);
    expect(runs.map(({ start }) => start)).toEqual([MIB, 4 * MIB, 10 * MIB]);
    expect(runs[2]?.end).toBe(size);
    expect(runs.every(({ start, end }) => end - start <= 65_536)).toBe(true);
    nodeFiles.dataSync(fd);
    nodeFiles.syncFileSystem(fd);
    closeSync(fd);
  });

  it('end where the size that is asked for ends, and with the file', () => {
    const path = made('x'.repeat(20_000));
    const fd = openSync(path, 'r+');
    expect(nodeFiles.dataRuns(fd, 5000)).toEqual([{ start: 0, end: 5000 }]);
    ftruncateSync(fd, 0);
    expect(nodeFiles.dataRuns(fd, 20_000)).toEqual([]);
    closeSync(fd);
  });

  it('are not more than the maximum', () => {
    const fd = openSync(nextPath(), 'w+');
    for (const at of [0, MIB, 2 * MIB]) writeSync(fd, 'x', at);
    expect(nodeFiles.dataRuns(fd, 2 * MIB + 1, 3)).toHaveLength(3);
    expect(codeOf(() => nodeFiles.dataRuns(fd, 2 * MIB + 1, 2))).toMatchObject({
      name: 'StoreError',
      code: 'UNSUPPORTED_IMAGE',
    });
    closeSync(fd);
  });

  it('of a file that is closed are an error', () => {
    expect(codeOf(() => nodeFiles.dataRuns(1_000_000, 5))).toMatchObject({ code: 'EBADF' });
    expect(codeOf(() => nodeFiles.syncFileSystem(1_000_000))).toMatchObject({ code: 'EBADF' });
  });
});
