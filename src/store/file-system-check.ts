/**
 * Refuses file systems on which the store is not safe: SQLite's WAL needs shared memory and locks
 * that network and user-space file systems do not give. Numbers from statfs(2).
 */
import { StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';

const UNSAFE_TYPES: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xfe534d42: 'SMB 2',
  0xff534d42: 'CIFS',
  0x65735546: 'FUSE',
  0x01021997: '9P',
  0x5346414f: 'AFS',
  0x6b414653: 'AFS',
  0x00c36400: 'Ceph',
  0x73757245: 'Coda',
  0x564c: 'NCP',
  0x0bd00bd0: 'Lustre',
  0x20030528: 'OrangeFS',
  0x786f4256: 'VirtualBox shared folders',
  0xbacbacbc: 'VMware shared folders',
};
/** A new store takes some 100 KB; with less than this, creating one is bound to fail half-way. */
const MINIMUM_FREE_BYTES = 1024 * 1024;

/** @throws StoreError STORAGE on a file system that a store must not be on. */
export function checkFileSystem(files: Files, directory: string): void {
  const name = UNSAFE_TYPES[files.space(directory).type >>> 0];
  if (name === undefined) return;
  const message = `${name} cannot hold a store safely (anyFileSystem overrides this)`;
  throw new StoreError('STORAGE', message, { file: directory });
}

/** @throws StoreError STORAGE when there is no room for a new store. */
export function checkFreeSpace(files: Files, directory: string): void {
  const { freeBytes } = files.space(directory);
  if (freeBytes >= MINIMUM_FREE_BYTES) return;
  const message = `${freeBytes} bytes are free, a new store needs ${MINIMUM_FREE_BYTES}`;
  throw new StoreError('STORAGE', message, { file: directory });
}
