/**
 * A golden store: one that a version of the library wrote, kept as it is, with what comes out of
 * it. Later versions must read it. CRIU_TIMELINE_GOLDEN=write makes test/store/golden.test.ts write
 * the one of this version anew, which is right only as long as no version has been released.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compress, decompress } from 'zstd-napi';
import type { SnapshotStore } from '../../src/index.ts';
import { makeRichStore } from './repairs.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** Name of the golden store of a version of the catalog, without an ending. */
export function goldenPath(version: number): string {
  return fileURLToPath(new URL(`../fixtures/golden-${version}`, import.meta.url));
}

/** What comes out of a snapshot. */
export interface GoldenSnapshot {
  readonly facts: unknown;
  readonly images: readonly string[];
  /** Undefined for a snapshot without files. */
  readonly files: readonly string[] | undefined;
}

/** Everything that a store holds, as its users see it. */
export async function readGolden(
  store: SnapshotStore,
  newPath: () => string,
): Promise<GoldenSnapshot[]> {
  const found: GoldenSnapshot[] = [];
  for (const timeline of store.timelines()) {
    for (const snapshot of [...timeline.list(), ...timeline.list({ removed: true })]) {
      const [images, files] = [newPath(), newPath()];
      const hasFiles = snapshot.describe().files !== undefined;
      await snapshot.restore(images, hasFiles ? { files } : {});
      const facts: unknown = JSON.parse(JSON.stringify(snapshot));
      const listing = hasFiles ? describeTree(files) : undefined;
      found.push({ facts, images: describeTree(images), files: listing });
    }
  }
  return found;
}

/** Writes the golden store of this version. */
export async function writeGolden(version: number, newPath: () => string): Promise<void> {
  const { directory } = await makeRichStore(newPath);
  const store = await openUnmanaged(directory, { readOnly: true });
  const golden = await readGolden(store, newPath);
  await store.close();
  for (const name of ['cache', 'index', 'leases', 'staging']) {
    rmSync(join(directory, name), { recursive: true });
  }
  const options = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  const tar = execFileSync('tar', [...options, '-cf', '-', '-C', directory, '.']);
  const packed = compress(tar, { compressionLevel: 19 });
  writeFileSync(`${goldenPath(version)}.tar.zst`, packed);
  writeFileSync(`${goldenPath(version)}.json`, `${JSON.stringify(golden, undefined, 1)}\n`);
}

/** Unpacks a golden store into a new directory. */
export function unpackGolden(version: number, directory: string): void {
  mkdirSync(directory, { mode: 0o700 });
  const input = decompress(readFileSync(`${goldenPath(version)}.tar.zst`));
  execFileSync('tar', ['-xpf', '-', '-C', directory], { input });
}
