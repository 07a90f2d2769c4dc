/** File systems that a store must not be on are known by what statfs(2) calls them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { checkFileSystem, checkFreeSpace } from '../../src/store/file-system-check.ts';
import { dump, storeOf } from '../support/backups.ts';
import { expectFailure } from '../support/failures.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const on = (type: number, freeBytes = 2 ** 40) => ({
  ...nodeFiles,
  space: () => ({ type, freeBytes }),
});

describe('a file system', () => {
  test.each([
    ['NFS', 0x6969],
    ['FUSE', 0x65735546],
    ['9P', 0x01021997],
    ['SMB 2', 0xfe534d42],
    // As a signed number of 32 bits, which some systems give.
    ['SMB 2', 0xfe534d42 | 0],
    ['CIFS', 0xff534d42 | 0],
    ['Ceph', 0x00c36400],
    ['Lustre', 0x0bd00bd0],
    ['VMware shared folders', 0xbacbacbc | 0],
  ])('called %s (%i) is refused by name', (name, type) => {
    expect(() => checkFileSystem(on(type), '/store')).toThrow(
      expect.objectContaining({
        code: 'STORAGE',
        file: '/store',
        message: expect.stringContaining(`${name} cannot hold a store safely`) as string,
      }),
    );
  });

  test.each([
    ['ext4', 0xef53],
    ['xfs', 0x58465342],
    ['btrfs', 0x9123683e],
    ['tmpfs', 0x01021994],
    ['overlayfs', 0x794c7630],
    ['zfs', 0x2fc12fc1],
    ['bcachefs', 0xca451a4e],
  ])('called %s is taken', (_, type) => {
    expect(() => checkFileSystem(on(type), '/store')).not.toThrow();
  });

  test('is asked for itself: this one is what stat(1) says', () => {
    const said = execFileSync('stat', ['-f', '-c', '%t', '/tmp'], { encoding: 'utf8' });
    expect(nodeFiles.space('/tmp').type >>> 0).toBe(Number.parseInt(said, 16));
    expect(() => checkFileSystem(nodeFiles, '/tmp')).not.toThrow();
  });

  test('with less than a megabyte left takes no new store', () => {
    expect(() => checkFreeSpace(on(0xef53, 2 ** 20 - 1), '/s')).toThrow(/1048575 bytes are free/);
    expect(() => checkFreeSpace(on(0xef53, 2 ** 20), '/s')).not.toThrow();
  });
});

test('a store that comes to be on one is refused, but for reading', async () => {
  const store = await storeOf([1]);
  await store.close();
  const files = on(0x65735546);
  const open = () => openUnmanaged(store.directory, { files });
  await expectFailure(open, { code: 'STORAGE', message: /FUSE .*anyFileSystem/ });
  await using reader = await openUnmanaged(store.directory, { files, readOnly: true });
  await reader.snapshot('t@1').restore(newPath());
});

test('a backup does not go there, and nothing is left but the directory', async () => {
  const store = await storeOf([1], on(0x6969));
  await store.timeline('t').capture({ images: dump(2) });
  const target = newPath();
  await expectFailure(() => store.backup(target), { code: 'STORAGE', message: /NFS/ });
  expect(existsSync(`${target}/packs`)).toBe(false);
});
