/**
 * A closed store that is damaged on purpose and mended again, and what must hold of it whatever
 * the damage is: a restore is exact or fails with CORRUPT and the place, and verify says so.
 */
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type OpenOptions, StoreError, type VerifyReport } from '../../src/index.ts';
import { makeDump } from './made-dumps.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** A closed store with one snapshot for each dump, in the timeline `t`. */
export interface ClosedStore {
  readonly directory: string;
  readonly dumps: readonly string[];
  readonly ids: readonly string[];
  /** Paths of the packs, in the order of the snapshots. */
  readonly packs: readonly string[];
  /** Paths of the runs of the index. */
  readonly runs: readonly string[];
}

/** Makes a store of three snapshots: two with pages of their own, one with none. */
export async function makeClosedStore(
  newPath: () => string,
  options: OpenOptions = {},
): Promise<ClosedStore> {
  const directory = newPath();
  const dumps = [1, 2, 1].map((seed) => makeDump(newPath(), seed));
  const store = await openUnmanaged(directory, { create: true, ...options });
  const ids: string[] = [];
  const packs: string[] = [];
  for (const images of dumps) {
    ids.push((await store.timeline('t').capture({ images })).id);
    const known = new Set(packs);
    packs.push(...packFiles(directory).filter((path) => !known.has(path)));
  }
  await store.close();
  const index = join(directory, 'index');
  return {
    directory,
    dumps,
    ids,
    packs,
    runs: readdirSync(index).map((name) => join(index, name)),
  };
}

function packFiles(directory: string): string[] {
  const packs = join(directory, 'packs');
  return readdirSync(packs).flatMap((prefix) =>
    readdirSync(join(packs, prefix)).map((name) => join(packs, prefix, name)),
  );
}

/** Damages a file for the time of `check`. */
export async function whileDamaged(
  file: string,
  damage: (bytes: Buffer) => Uint8Array | undefined,
  check: () => Promise<void>,
): Promise<void> {
  const original = readFileSync(file);
  const damaged = damage(Buffer.from(original));
  if (damaged === undefined) rmSync(file);
  else writeFileSync(file, damaged);
  try {
    await check();
  } finally {
    writeFileSync(file, original, { mode: 0o400 });
  }
}

/** What a damaged store still can do. */
export interface Diagnosis {
  /** Ids of the snapshots that do not come out, in order. */
  readonly lost: readonly string[];
  readonly report: VerifyReport;
}

/**
 * Restores every snapshot and verifies: fails when a restore is neither exact nor CORRUPT, leaves
 * something behind, or verify disagrees about which snapshots are lost.
 */
export async function diagnose(closed: ClosedStore, newPath: () => string): Promise<Diagnosis> {
  await using store = await openUnmanaged(closed.directory, { readOnly: true });
  const lost: string[] = [];
  for (const [i, id] of closed.ids.entries()) {
    const place = newPath();
    try {
      await store.snapshot(id).restore(place);
      expect(describeTree(place)).toEqual(describeTree(closed.dumps[i] ?? ''));
      rmSync(place, { recursive: true });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      expect(error.code, error.message).toBe('CORRUPT');
      expect(error.file, error.message).toBeDefined();
      expect(() => readdirSync(place)).toThrow(/ENOENT/);
      lost.push(id);
    }
  }
  const report = await store.verify();
  const named = new Set(report.problems.flatMap(({ snapshot }) => snapshot ?? []));
  expect([...named].sort()).toEqual([...lost].sort());
  return { lost, report };
}

/** Flips one bit. */
export function flipped(bytes: Buffer, bit: number): Buffer {
  const at = bit >>> 3;
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bit & 7)), at);
  return bytes;
}

/** Flips a bit in the middle of a block of a file, in place. */
export function damageBlock(path: string, offset: number, bytes: number): void {
  const content = readFileSync(path);
  const at = offset + (bytes >>> 1);
  content.writeUInt8(content.readUInt8(at) ^ 4, at);
  chmodSync(path, 0o600);
  writeFileSync(path, content);
}
