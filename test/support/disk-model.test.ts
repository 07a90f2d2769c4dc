/**
 * The disk that tests cut the power of: it must lose everything that POSIX lets it lose, and
 * nothing else, or the tests that stand on it would be worth nothing.
 */
import { describe, expect, test } from 'vitest';
import type { DatabaseBytes, DiskEvent } from './crashing-files.ts';
import { databaseCuts } from './database-cuts.ts';
import { type Choice, imageOf, randomChoice, SYSTEMATIC } from './disk-images.ts';
import { Disk } from './disk-model.ts';
import { randomNumbers } from './kills.ts';

const bytes = Buffer.alloc(2000, 'a');
const write: DiskEvent = { kind: 'write', file: 1, offset: 0, bytes };

function create(path: string, file: number): DiskEvent {
  return { kind: 'create', path, file, mode: 0o600, inode: BigInt(file) };
}

/** Paths with the sizes of files, in an image. */
function shown(events: readonly DiskEvent[], choice: Choice): string {
  const disk = new Disk();
  for (const event of events) disk.apply(event);
  return imageOf(disk, choice, new Map())
    .map((entry) =>
      entry.bytes === undefined ? entry.path : `${entry.path}:${entry.bytes.length}`,
    )
    .join(' ');
}

function systematic(name: string): Choice {
  const found = SYSTEMATIC.find((choice) => choice.name === name);
  if (found === undefined) throw new Error(`no image is called ${name}`);
  return found;
}

/** All different images that chance makes. */
function possible(events: readonly DiskEvent[]): string[] {
  const random = randomNumbers(7);
  const images = Array.from({ length: 400 }, () => shown(events, randomChoice('', random)));
  return [...new Set(images)].sort();
}

const syncRoot: DiskEvent[] = [
  { kind: 'open', path: '', file: 90 },
  { kind: 'sync', file: 90 },
];
const made: DiskEvent[] = [{ kind: 'mkdir', path: 'd', mode: 0o700 }, create('a', 1), write];
const moved: DiskEvent = { kind: 'rename', path: 'a', to: 'd/b' };

describe('a power cut', () => {
  test('takes names without a sync of their directory, and data without one of the file', () => {
    expect(possible([create('a', 1)])).toEqual(['', 'a:0']);
    expect(possible([create('a', 1), ...syncRoot])).toEqual(['a:0']);
    const sizes = [0, 512, 1024, 1536, 2000].map((size) => `a:${size}`);
    expect(possible([create('a', 1), write, ...syncRoot])).toEqual(sizes.sort());
    const synced: DiskEvent = { kind: 'sync', file: 1 };
    expect(possible([create('a', 1), write, synced])).toEqual(['', 'a:2000']);
    expect(possible([create('a', 1), write, synced, ...syncRoot])).toEqual(['a:2000']);
    expect(possible([...made, { kind: 'syncAll' }])).toEqual(['a:2000 d']);
  });

  test('may leave either half of a rename, and none of it is durable before its sync', () => {
    const all = possible([...made, { kind: 'syncAll' }, moved]);
    expect(all).toEqual(['a:2000 d', 'a:2000 d d/b:2000', 'd', 'd d/b:2000']);
    const syncTarget: DiskEvent[] = [
      { kind: 'open', path: 'd', file: 91 },
      { kind: 'sync', file: 91 },
    ];
    const after = possible([...made, { kind: 'syncAll' }, moved, ...syncTarget]);
    expect(after).toEqual(['a:2000 d d/b:2000', 'd d/b:2000']);
  });

  test('may leave a tree that is removed at any stage', () => {
    const inside = [...made, moved, { kind: 'syncAll' }] as const;
    const all = possible([...inside, { kind: 'removeTree', path: 'd' }]);
    expect(all).toEqual(['', 'd', 'd d/b:2000']);
  });

  test('has the systematic images that their names say', () => {
    const events = [...made, moved];
    expect(shown(events, systematic('all lost'))).toBe('');
    expect(shown(events, systematic('all kept'))).toBe('d d/b:2000');
    expect(shown(events, systematic('names without data'))).toBe('d d/b:0');
    expect(shown(events, systematic('new names only'))).toBe('a:2000 d d/b:2000');
    expect(shown(events, systematic('all but the last names'))).toBe('a:2000 d');
  });
});

describe('the files of SQLite', () => {
  const header = Buffer.alloc(32);
  header.writeUInt32BE(4096, 8);
  const main = Buffer.alloc(4096);
  const frames = (count: number): Buffer =>
    Buffer.concat([header, ...Array.from({ length: count }, (_, i) => Buffer.alloc(4120, i + 1))]);
  const at = (wal: Buffer | undefined, is = main): ReadonlyMap<bigint, DatabaseBytes> =>
    new Map([[1n, { main: is, wal }]]);

  test('are as they were between two changes that SQLite had no part in', () => {
    const databases = at(frames(2));
    expect(databaseCuts(databases, databases).map(({ name }) => name)).toEqual(['as before']);
  });

  test('keep every frame of what had returned, and are cut at each later one', () => {
    const cuts = databaseCuts(at(frames(2)), at(frames(4)));
    const sizes = cuts.map(({ databases }) => (databases.get(1n)?.wal?.length ?? 0) - 32);
    expect(sizes.map((size) => size / 4120)).toEqual([2, 3, 3, 4, 4, 4]);
    for (const { databases } of cuts) {
      const wal = databases.get(1n)?.wal ?? Buffer.alloc(0);
      expect(wal.subarray(0, 32 + 2 * 4120).equals(frames(2))).toBe(true);
    }
  });

  test('may be checkpointed before their -wal is gone', () => {
    const cuts = databaseCuts(at(frames(1)), at(undefined, Buffer.alloc(8192, 1)));
    expect(cuts.map(({ name }) => name)).toEqual([
      'as before',
      'checkpointed in part',
      'checkpointed',
      'as after',
    ]);
  });
});
