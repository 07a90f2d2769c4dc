/**
 * The files of a container in and out: everything that an upper directory can hold comes back as it
 * was, and what belongs to the host is left out and mapped.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  expectFiles,
  isRoot,
  listingOf,
  openFilesStore,
  python,
} from '../support/captured-files.ts';
import { expectFailure } from '../support/failures.ts';
import { listTree } from '../support/listing.ts';
import { makeDump } from '../support/made-dumps.ts';
import { canMount, mountMemory } from '../support/mounts.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();
const SHOP = new URL('../fixtures/unpacked/shop/shop-upper.tar', import.meta.url).pathname;

/** The upper directory of a real container of podman. */
function unpackShop(): string {
  const upper = newPath();
  mkdirSync(upper);
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-xf', SHOP], { cwd: upper });
  return upper;
}

/** Captures a tree, and fails unless it comes back as it is, with and without worker threads. */
async function expectRoundTrip(upper: string): Promise<void> {
  const before = listingOf(upper);
  const { capture } = await openFilesStore(newPath);
  await expectFiles(await capture(upper), before, newPath);
  expect(listingOf(upper)).toEqual(before);
}

describe.skipIf(!isRoot)('an upper directory', () => {
  test.each([0, 2])('of podman comes back whole with %i workers', async (workers) => {
    const upper = unpackShop();
    const { capture, images } = await openFilesStore(newPath, { workers });
    const snapshot = await capture(upper);
    const [target, files] = [newPath(), newPath()];
    const report = await snapshot.restore(target, { files });
    expectSameTree(target, images);
    expect(listTree(files)).toEqual(listingOf(upper));
    expect(report.files).toMatchObject({ skipped: [], skippedCount: 0 });
    expect(report.files?.missingHostFiles).toEqual([
      '/etc/hostname',
      '/etc/hosts',
      '/run/.containerenv',
    ]);
    // Holes included, which the sparse one mostly is.
    expect(report.files?.bytes).toBeGreaterThan(8 * 2 ** 20 + 2 * 2 ** 20);
  });

  test('comes back with every kind of node, whatever its names are', async () => {
    await expectRoundTrip(
      python(
        newPath(),
        `os.mkdir('a'); os.mkdir('a/empty'); os.mkdir('a.b'); write('a.b/c', b'1')
write('a/c', b'2')
write(b'not \\xff utf-8', b'x'); write('new\\nline', b'y'); write('n' * 255, b'z')
write('empty', b'')
os.symlink('/etc/passwd', 'link'); os.symlink('x' * 4095, 'long-link'); os.mkfifo('fifo')
os.mknod('whiteout', stat.S_IFCHR, os.makedev(0, 0))
os.mknod('device', stat.S_IFBLK, os.makedev(7, 300))
os.mkdir('opaque'); os.setxattr('opaque', 'trusted.overlay.opaque', b'y')
os.setxattr('link', 'trusted.of.a.link', b'\\0\\1'); os.setxattr('a/c', 'user.empty', b'')
os.setxattr('a/c', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))
write('setuid', b'program'); os.chown('setuid', 1000, 70000); os.chmod('setuid', 0o6755)
os.chown('link', 5, 6, follow_symlinks=False); os.chown('fifo', 7, 8); os.chmod('fifo', 0)
os.mkdir('sticky'); os.chmod('sticky', 0o1777); write('sticky/none', b'secret')
os.chmod('sticky/none', 0)
os.link('a/c', 'z-other-name'); os.link('a/c', '0-first-name'); os.link('fifo', 'fifo-2')
os.link('whiteout', 'whiteout-2'); os.link('link', 'link-2')
os.utime('empty', ns=(0, -1_500_000_001))
os.utime('link', ns=(0, 2**33 * 10**9), follow_symlinks=False)
os.utime('a/empty', ns=(0, 1)); os.chmod('a/empty', 0o111); os.chmod('.', 0o2750)
os.utime('.', ns=(0, 5))`,
      ),
    );
  });

  test('comes back with its holes, and with zeros where zeros were written', async () => {
    await expectRoundTrip(
      python(
        newPath(),
        `sparse('begins-with-a-hole', 1 << 20, [(1 << 19, noise(1, 5000))])
sparse('ends-with-a-hole', (1 << 20) + 5, [(0, noise(2, 8192))])
sparse('only-a-hole', 3 << 20, []); sparse('less-than-a-page', 100, [])
sparse('many', 1 << 22, [(i * 16384, noise(i, 4096)) for i in range(256)])
sparse('large', 1 << 28, [((1 << 27) + 4096, b'in the middle')])
write('zeros', bytes(100000)); write('zeros-then-data', bytes(65536) + b'end')`,
      ),
    );
  });

  test('comes back with what was allocated and never written as zeros', async () => {
    const upper = python(
      newPath(),
      `file = os.open('allocated', os.O_CREAT | os.O_RDWR); os.posix_fallocate(file, 0, 300000)
os.pwrite(file, b'data', 100000); os.close(file)`,
    );
    const { capture } = await openFilesStore(newPath);
    const files = newPath();
    await (await capture(upper)).restore(newPath(), { files });
    expect(listTree(files, { holes: false })).toEqual(listTree(upper, { holes: false }));
  });

  test('comes back empty when it is, and deep when it is', async () => {
    await expectRoundTrip(python(newPath(), ''));
    await expectRoundTrip(python(newPath(), `os.makedirs('/'.join(['d'] * 600))`));
  });

  test('comes back without sockets, which are listed', async () => {
    const upper = python(
      newPath(),
      `os.mkdir('run'); socket.socket(socket.AF_UNIX).bind('run/s'); os.link('run/s', 't')
write('z', b'')`,
    );
    const { capture } = await openFilesStore(newPath);
    const snapshot = await capture(upper);
    const files = newPath();
    const report = await snapshot.restore(newPath(), { files });
    expect(listTree(files)).toEqual(listingOf(upper));
    const skipped = report.files?.skipped.map(
      ({ path, what }) => `${Buffer.from(path).toString()} ${what}`,
    );
    expect(skipped).toEqual(['run/s socket', 't name']);
    expect(report.files?.skippedCount).toBe(2);
  });

  test.skipIf(!canMount)('comes back without what is mounted in it', async () => {
    const upper = python(
      newPath(),
      `os.mkdir('volume'); write('volume/below', b'1'); write('x', b'')`,
    );
    const { capture } = await openFilesStore(newPath);
    mountMemory(join(upper, 'volume'), 1024);
    writeFileSync(join(upper, 'volume/secret'), 'of the volume');
    const files = newPath();
    await (await capture(upper)).restore(newPath(), { files });
    const paths = listTree(files).map((line) => (JSON.parse(line) as { path: string }).path);
    expect(paths).toEqual(['.', 'volume', 'x']);
  });
});

describe.skipIf(!isRoot)('files of the host', () => {
  const MADE = `os.mkdir('etc'); os.mkdir('run'); os.mkdir('opt')
write('etc/hosts', b'host'); os.chown('etc/hosts', 3, 4); os.chmod('etc/hosts', 0o640)
os.utime('etc/hosts', ns=(0, 10**18)); os.symlink('../run/resolv.conf', 'etc/resolv.conf')
write('run/.containerenv', b'engine'); write('.dockerenv', b''); write('opt/own', b'1')
write('etc/own', b'2')`;

  async function restoredWith(
    hostFiles: Record<string, Uint8Array | { file: string }>,
    asked?: readonly string[],
  ): Promise<{ files: string; missing: readonly string[] | undefined }> {
    const { capture } = await openFilesStore(newPath);
    const upper = python(newPath(), MADE);
    const snapshot = await capture(upper, asked && { hostFiles: asked });
    const files = newPath();
    const report = await snapshot.restore(newPath(), { files, hostFiles });
    expect(listingOf(files)).toEqual(
      listingOf(upper).filter((line) => asked === undefined || !line.includes('"opt/own"')),
    );
    return { files, missing: report.files?.missingHostFiles };
  }

  test('are left out and named, in the order of the tree', async () => {
    const { files, missing } = await restoredWith({});
    expect(missing).toEqual([
      '/.dockerenv',
      '/etc/hosts',
      '/etc/resolv.conf',
      '/run/.containerenv',
    ]);
    for (const path of missing ?? []) expect(() => statSync(join(files, path))).toThrow(/ENOENT/);
  });

  test('are bytes or files of the caller, with the owners, modes and times of before', async () => {
    const own = newPath();
    writeFileSync(own, 'from a file');
    const { files, missing } = await restoredWith({
      '/etc/hosts': Buffer.from('from bytes'),
      '/etc/resolv.conf': { file: own },
      '/etc/not/left/out': Buffer.from('passed over'),
      '/.dockerenv': new Uint8Array(0),
    });
    expect(missing).toEqual(['/run/.containerenv']);
    expect(readFileSync(join(files, 'etc/hosts'), 'utf8')).toBe('from bytes');
    const { mode, uid, gid, mtimeMs } = statSync(join(files, 'etc/hosts'));
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o640, 3, 4, 1e12]);
    expect(readFileSync(join(files, 'etc/resolv.conf'), 'utf8')).toBe('from a file');
    expect(statSync(join(files, '.dockerenv')).size).toBe(0);
    expect(() => statSync(join(files, 'etc/not'))).toThrow(/ENOENT/);
  });

  test('that were links are files that not everybody may write', async () => {
    const { files } = await restoredWith({ '/etc/resolv.conf': Buffer.from('nameserver') });
    expect(statSync(join(files, 'etc/resolv.conf')).mode & 0o7777).toBe(0o644);
  });

  test('are those that the caller names, too', async () => {
    const { missing } = await restoredWith({}, ['/opt/own', '/etc/hosts', '/no/such']);
    expect(missing).toContain('/opt/own');
    expect(missing).toContain('/etc/hosts');
    expect(missing).not.toContain('/no/such');
  });

  test('that the container deleted, or made directories of, stay its own', async () => {
    const upper = python(
      newPath(),
      `os.mkdir('etc'); os.mknod('etc/hosts', stat.S_IFCHR, os.makedev(0, 0))
os.mkdir('etc/hostname'); write('etc/hostname/x', b'1'); os.mkfifo('etc/resolv.conf')`,
    );
    const { capture } = await openFilesStore(newPath);
    const snapshot = await capture(upper);
    const files = newPath();
    const hostFiles = { '/etc/hosts': Buffer.from('no'), '/etc/hostname': Buffer.from('no') };
    const report = await snapshot.restore(newPath(), { files, hostFiles });
    expect(listTree(files)).toEqual(listTree(upper));
    expect(report.files?.missingHostFiles).toEqual([]);
  });

  test('come and go with the list, though nothing changes on the disk', async () => {
    const { capture } = await openFilesStore(newPath);
    const upper = python(newPath(), `write('own', b'content'); write('z', b'')`);
    const missing = async (hostFiles: readonly string[]): Promise<unknown> => {
      const snapshot = await capture(upper, { hostFiles });
      await expectFiles(snapshot, listingOf(upper, hostFiles), newPath);
      const report = await snapshot.restore(newPath(), { files: newPath() });
      return report.files?.missingHostFiles;
    };
    expect(await missing([])).toEqual([]);
    expect(await missing(['/own'])).toEqual(['/own']);
    expect(await missing([])).toEqual([]);
  });

  test.each([
    ['etc/hosts', RangeError],
    ['/etc/../shadow', RangeError],
    ['/etc//hosts', RangeError],
    ['/', RangeError],
    ['', RangeError],
    ['/a\0b', RangeError],
  ])('have paths in the container, and not %j', async (path, kind) => {
    const { capture, store } = await openFilesStore(newPath);
    const upper = python(newPath(), '');
    await expect(capture(upper, { hostFiles: [path] })).rejects.toThrow(kind);
    const snapshot = await capture(upper);
    const target = newPath();
    const options = { files: newPath(), hostFiles: { [path]: new Uint8Array(1) } };
    await expect(snapshot.restore(target, options)).rejects.toThrow(kind);
    expect(() => statSync(target)).toThrow(/ENOENT/);
    expect(store.timeline('t').list()).toHaveLength(1);
  });

  test('that cannot be read, or are no bytes, leave nothing behind', async () => {
    const { capture } = await openFilesStore(newPath);
    const snapshot = await capture(python(newPath(), MADE));
    const target = newPath();
    const files = newPath();
    const attempt = (source: unknown): Promise<unknown> => {
      const hostFiles = { '/etc/hosts': source as Uint8Array };
      return snapshot.restore(target, { files, hostFiles });
    };
    await expectFailure(() => attempt({ file: '/no/such' }), { code: 'STORAGE', file: '/no/such' });
    for (const source of ['text', 5, null, { file: 7 }]) {
      await expect(attempt(source)).rejects.toThrow(TypeError);
    }
    for (const path of [target, files]) expect(() => statSync(path)).toThrow(/ENOENT/);
  });
});

describe('what is no upper directory', () => {
  test('is refused, with nothing stored', async () => {
    const { store } = await openFilesStore(newPath);
    const images = makeDump(newPath(), 1, 4);
    const file = newPath();
    writeFileSync(file, '');
    chmodSync(file, 0o600);
    const capture = (files: unknown): Promise<unknown> =>
      store.timeline('t').capture({ images, files: files as string });
    await expectFailure(() => capture('/no/such'), { code: 'NOT_FOUND', file: '/no/such' });
    await expectFailure(() => capture(file), { code: 'STORAGE', file });
    for (const files of ['', 5, null]) await expect(capture(files)).rejects.toThrow(TypeError);
    expect(store.timeline('t').list()).toEqual([]);
  });
});
