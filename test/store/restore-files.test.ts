/**
 * Where the files of a container are restored to: into nothing or an empty place, all or nothing,
 * with all rights or with a list of what they were missing for.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/index.ts';
import { isRoot, listingOf, openFilesStore, python } from '../support/captured-files.ts';
import { expectFailure } from '../support/failures.ts';
import { EVERY_CALL, FaultyFiles } from '../support/faulty-files.ts';
import { listTree } from '../support/listing.ts';
import { canMount, mountMemory } from '../support/mounts.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const MADE = `
os.mkdir('a'); os.mkdir('a/b')
for i in range(30): write(f'a/{i}', noise(i, 9000))
write('a/b/c', b'deep'); os.link('a/b/c', 'z'); os.symlink('a', 'link'); os.mkfifo('fifo')
write('large', noise(99, 400000)); os.chmod('a', 0o555); os.chmod('a/b', 0o500)`;

async function madeSnapshot(
  options?: Parameters<typeof openFilesStore>[1],
): Promise<{ snapshot: Snapshot; upper: string }> {
  const { capture } = await openFilesStore(newPath, options);
  const upper = python(newPath(), MADE);
  return { snapshot: await capture(upper), upper };
}

/** What stands beside the targets of a restore: nothing must be left there. */
function newPlace(): { place: string; images: string; files: string } {
  const place = newPath();
  mkdirSync(place);
  return { place, images: join(place, 'images'), files: join(place, 'files') };
}

describe('the target of a restore of files', () => {
  test('may be an empty directory, which is replaced', async () => {
    const { snapshot, upper } = await madeSnapshot();
    const { place, images, files } = newPlace();
    mkdirSync(files, { mode: 0o777 });
    await snapshot.restore(images, { files, sync: true });
    expect(listTree(files)).toEqual(listingOf(upper));
    expect(readdirSync(place).sort()).toEqual(['files', 'images']);
  });

  test.skipIf(!canMount)('may be an empty mount point, which is filled', async () => {
    const { snapshot, upper } = await madeSnapshot();
    const { images, files } = newPlace();
    mountMemory(files, 8192);
    chmodSync(files, 0o777);
    const modes = new Set<number>();
    const onProgress = () => modes.add(statSync(files).mode & 0o7777);
    await snapshot.restore(images, { files, onProgress });
    expect([...modes][0]).toBe(0o700);
    expect(listTree(files, { holes: false })).toEqual(listingOf(upper).map(withoutHoles));
  });

  function withoutHoles(line: string): string {
    return line.replace(/"data": \[.*?\]\]?, /, '');
  }

  test.skipIf(!canMount)('that is a full mount point is empty again afterwards', async () => {
    const { snapshot } = await madeSnapshot();
    const { place, images, files } = newPlace();
    mountMemory(files, 200);
    chmodSync(files, 0o1777);
    await expectFailure(() => snapshot.restore(images, { files }), {
      code: 'STORAGE',
      message: /ENOSPC/,
    });
    expect(readdirSync(files)).toEqual([]);
    expect(statSync(files).mode & 0o7777).toBe(0o1777);
    expect(readdirSync(place)).toEqual(['files']);
  });

  test('must not hold anything, or be anything else', async () => {
    const { snapshot } = await madeSnapshot();
    const { place, images, files } = newPlace();
    mkdirSync(files);
    writeFileSync(join(files, 'mine'), 'mine');
    const restore = (to: string) => () => snapshot.restore(images, { files: to });
    await expectFailure(restore(files), { code: 'EXISTS', file: files });
    await expectFailure(restore(join(files, 'mine')), {
      code: 'EXISTS',
      file: join(files, 'mine'),
    });
    await expectFailure(restore(join(place, 'no/such')), { code: 'NOT_FOUND' });
    expect(readdirSync(place)).toEqual(['files']);
    expect(readdirSync(files)).toEqual(['mine']);
  });

  test('must not be that of the images, nor in it, nor around it, nor in the store', async () => {
    const { snapshot } = await madeSnapshot();
    const { place, images } = newPlace();
    for (const files of [images, `${images}/`, `${images}/files`, place, `${place}/x/../images`]) {
      const restore = snapshot.restore(images, { files });
      await expect(restore, files).rejects.toThrow(RangeError);
    }
    for (const files of ['', 5, null]) {
      const restore = snapshot.restore(images, { files: files as string });
      await expect(restore).rejects.toThrow(TypeError);
    }
    expect(readdirSync(place)).toEqual([]);
  });

  test('is not touched by what is no option', async () => {
    const { snapshot } = await madeSnapshot();
    const { place, images, files } = newPlace();
    for (const privileges of ['bogus', null, 5]) {
      const options = { files, privileges: privileges as 'skip' };
      await expect(snapshot.restore(images, options)).rejects.toThrow(RangeError);
    }
    const restore = snapshot.restore(images, { files, hostFiles: { '/x': null as never } });
    await expect(restore).rejects.toThrow(/'\/x' is neither bytes nor a file/);
    await expect(restore).rejects.toThrow(TypeError);
    expect(readdirSync(place)).toEqual([]);
  });

  test('stays untouched by a snapshot without files', async () => {
    const { capture } = await openFilesStore(newPath);
    const snapshot = await capture();
    const { place, images, files } = newPlace();
    const restore = () => snapshot.restore(images, { files });
    const error = await expectFailure(restore, { code: 'NOT_FOUND', message: /no files/ });
    expect(error.snapshot).toBe(snapshot.id);
    expect(readdirSync(place)).toEqual([]);
  });
});

describe('a restore of files that fails', () => {
  test('at any call leaves nothing', async () => {
    const faulty = new FaultyFiles();
    const { snapshot } = await madeSnapshot({ files: faulty.files });
    let failures = 0;
    for (let nth = 1, isDone = false; !isDone; nth += 37) {
      const { place, images, files } = newPlace();
      faulty.arm({ calls: EVERY_CALL, nth, code: 'ENOSPC' });
      try {
        await snapshot.restore(images, { files });
        isDone = faulty.disarm() === undefined;
      } catch (error) {
        const failed = faulty.disarm();
        expect(error, failed).toMatchObject({ name: 'StoreError', code: 'STORAGE' });
        expect(readdirSync(place), failed).toEqual([]);
        failures += 1;
      }
    }
    expect(failures).toBeGreaterThan(5);
  });

  test('because it is aborted leaves nothing, at any moment', async () => {
    const { snapshot } = await madeSnapshot();
    const { place, images, files } = newPlace();
    const early = { files, signal: AbortSignal.abort() };
    await expectFailure(() => snapshot.restore(images, early), { code: 'ABORTED' });
    expect(readdirSync(place)).toEqual([]);
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const late = { files, signal: stop.signal, onProgress };
    await expectFailure(() => snapshot.restore(images, late), { code: 'ABORTED' });
    expect(readdirSync(place)).toEqual([]);
  });
});

/** A restore by somebody without rights; the process is a child. */
const CHILD = `
import { SnapshotStore } from './src/index.ts';
import { nodeFiles } from './src/files/node-files.ts';
const [directory, id, place, privileges] = process.argv.slice(1);
const store = await SnapshotStore.open(directory, { readOnly: true, workers: 0 });
// Loads what nobody else may be allowed to read.
nodeFiles.mkdir(place + '/none');
nodeFiles.removeTree(place + '/none');
await store.snapshot(id).restore(place + '/first', { files: place + '/first-files' });
process.setgroups([]); process.setgid(65534); process.setuid(65534);
try {
  const options = { files: place + '/files', privileges };
  const { files } = await store.snapshot(id).restore(place + '/images', options);
  const skipped = files.skipped.map(({ path, what }) => Buffer.from(path) + ' ' + what);
  console.log(JSON.stringify({ skipped, count: files.skippedCount }));
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
process.exit(0);
`;

describe.skipIf(!isRoot)('without rights', () => {
  const NEEDS = `
os.mkdir('a'); write('a/own', b'mine'); os.chmod('a', 0o555); write('c', b'') ; write('b', b'b')
for name in ('.', 'a', 'a/own', 'c'): os.chown(name, 65534, 65534)
os.mknod('whiteout', stat.S_IFCHR, os.makedev(0, 0)); os.mknod('z', stat.S_IFBLK, os.makedev(7, 0))
os.setxattr('c', 'trusted.x', b'1')
os.chmod('b', 0o4755)`;

  async function restoreAs(lines: string, privileges: string) {
    const { store, capture } = await openFilesStore(newPath);
    const upper = python(newPath(), lines);
    const { id } = await capture(upper);
    await store.close();
    const { place, files } = newPlace();
    // Everybody may get there.
    const inside = (path: string): boolean => path.startsWith(`${tmpdir()}/`);
    for (let at = place; inside(at); at = dirname(at)) chmodSync(at, 0o755);
    chmodSync(place, 0o777);
    execFileSync('chmod', ['-R', 'a+rX', store.directory]);
    const typescript = ['--import', './test/support/typescript.mjs', '-C', '@criu-timeline/source'];
    const told = ['--input-type=module', '-e', CHILD, store.directory, id, place, privileges];
    const output = execFileSync(process.execPath, [...typescript, ...told], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const report = JSON.parse(output) as {
      skipped?: string[];
      count?: number;
      code?: string;
      message?: string;
    };
    return { report, place, files };
  }

  test('nothing is restored, unless that is wanted, and the error says why', async () => {
    const { report, place } = await restoreAs(NEEDS, 'require');
    expect(report).toMatchObject({ code: 'STORAGE' });
    expect(report.message).toMatch(/needs CAP_|EPERM/);
    expect(readdirSync(place).sort()).toEqual(['first', 'first-files']);
  });

  test('also when directories that nobody may write are finished already', async () => {
    // The root is finished last, and is not theirs.
    const lines = `os.makedirs('a/b'); write('a/b/c', b'1'); os.chmod('a', 0o555)
os.chmod('a/b', 0)
for name in ('a', 'a/b', 'a/b/c'): os.chown(name, 65534, 65534)`;
    const { report, place } = await restoreAs(lines, 'require');
    expect(report).toMatchObject({ code: 'STORAGE' });
    expect(readdirSync(place).sort()).toEqual(['first', 'first-files']);
  });

  test('everything else is restored where that is wanted, with a list', async () => {
    const { report, files } = await restoreAs(NEEDS, 'skip');
    expect(report.skipped?.toSorted()).toEqual([
      'b mode',
      'b owner',
      'c xattr',
      'whiteout owner',
      'z device',
    ]);
    expect(report.count).toBe(5);
    expect(readdirSync(files).sort()).toEqual(['a', 'b', 'c', 'whiteout']);
    expect(existsSync(join(files, 'a/own'))).toBe(true);
  });
});
