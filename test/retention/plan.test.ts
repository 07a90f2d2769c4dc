/** Plans of retention by example: which rule keeps what, and why. */
import { describe, expect, test } from 'vitest';
import { planRetention } from '../../src/retention/plan.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';
import { keptOf, made, madeAt, reasonsOf, type Made } from '../support/planned-retention.ts';

const HOUR_MS = 3_600_000;
const NOW = '2026-11-21T12:00:00Z';
const NOW_MS = Date.parse(NOW);

/** So many snapshots, the last one now, each an hour after the one before. */
const hourly = (count: number): Made[] =>
  madeAt(...Array.from({ length: count }, (_, i) => NOW_MS - (count - 1 - i) * HOUR_MS));

const plan = (snapshots: readonly Made[], policy: RetentionPolicy, now: string = NOW) =>
  planRetention(snapshots, policy, Date.parse(now));

describe('of a timeline, a policy', () => {
  test('may find nothing at all', () => {
    expect(plan([], { keepLast: 5, maxBytes: 1 })).toEqual({
      kept: [],
      removed: [],
      keptBytes: 0,
      overBudgetBytes: 0,
    });
  });

  test('names every rule that keeps a snapshot, and its bucket', () => {
    const snapshots = madeAt(
      '2026-11-20T23:59:59.999Z',
      '2026-11-21T00:00:00Z',
      '2026-11-21T10:30:00Z',
      '2026-11-21T10:45:00Z',
    );
    const policy = { keepLast: 1, keepWithin: '1m', keepHourly: 2, keepDaily: 2, keepYearly: 1 };
    expect(reasonsOf(plan(snapshots, policy))).toEqual({
      1: ['daily: 2026-11-20'],
      2: ['hourly: 2026-11-21T00'],
      3: ['unmatched'],
      4: [
        'newest',
        'last: 1',
        'within: after 2026-11-21T10:44:00Z',
        'hourly: 2026-11-21T10',
        'daily: 2026-11-21',
        'yearly: 2026',
      ],
    });
  });

  test('keeps the oldest while a number of buckets is not reached, as a start', () => {
    const snapshots = madeAt(
      '2026-11-20T01:00:00Z',
      '2026-11-20T02:00:00Z',
      '2026-11-21T03:00:00Z',
    );
    expect(reasonsOf(plan(snapshots, { keepDaily: 3 }))).toMatchObject({
      1: ['daily: 2026-11-20 (oldest)'],
      2: ['daily: 2026-11-20'],
    });
    expect(keptOf(snapshots, { keepDaily: 2 })).toEqual([2, 3]);
    expect(keptOf(snapshots, { keepDaily: '9y' })).toEqual([2, 3]);
  });

  test('counts only buckets that are not empty', () => {
    const snapshots = madeAt('2020-01-01', '2023-05-05', '2026-11-20', '2026-11-21');
    expect(keptOf(snapshots, { keepDaily: 3 })).toEqual([2, 3, 4]);
    expect(keptOf(snapshots, { keepYearly: 2 })).toEqual([2, 4]);
  });

  test.each([
    ['keepHourly', ['2026-11-20T23:00:00Z', '2026-11-20T23:59:59.999Z', '2026-11-21T00:00:00Z']],
    ['keepDaily', ['2024-02-29T00:00:00Z', '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z']],
    ['keepWeekly', ['2026-12-28T00:00:00Z', '2027-01-03T23:59:59.999Z', '2027-01-04T00:00:00Z']],
    ['keepMonthly', ['2024-02-01T00:00:00Z', '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z']],
    ['keepYearly', ['2026-01-01T00:00:00Z', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z']],
  ])('by %s keeps the last of a bucket and the first of the next', (option, times) => {
    const snapshots = madeAt(...times);
    expect(keptOf(snapshots, { [option]: 2 })).toEqual([2, 3]);
    expect(keptOf(snapshots, { [option]: '5y' })).toEqual([2, 3]);
    expect(keptOf(snapshots, { [option]: 1 })).toEqual([3]);
  });

  test('by an interval does not keep what is exactly that old', () => {
    const snapshots = hourly(30);
    expect(keptOf(snapshots, { keepWithin: '24h' }, NOW)).toHaveLength(24);
    expect(keptOf(snapshots, { keepHourly: '24h' }, NOW)).toHaveLength(24);
    expect(keptOf(snapshots, { keepHourly: 24 }, NOW)).toHaveLength(24);
  });

  test('thins out what is older, with the rules together', () => {
    const snapshots = hourly(24 * 60);
    const policy = { keepLast: 3, keepHourly: 24, keepDaily: 7, keepWeekly: 4 };
    // 24 hours; 7 days, of which the last one is an hour already, and the one before as well;
    // 4 weeks (the 21st is a Saturday), of which this one and the last are days already.
    expect(keptOf(snapshots, policy, NOW)).toHaveLength(24 + 5 + 2);
  });
});

describe('time that is not what it seems', () => {
  const day = (number: number): string => `2026-11-${number}T12:00:00Z`;

  test('equal times are told apart by sequence', () => {
    const snapshots = madeAt(NOW, NOW, NOW);
    expect(keptOf(snapshots, { keepLast: 2 })).toEqual([2, 3]);
    expect(keptOf(snapshots, { keepSecondly: 5 })).toEqual([1, 3]);
    expect(keptOf(snapshots, { keepSecondly: 1 })).toEqual([3]);
  });

  test('times that go back are taken as they are, and the last one captured stays', () => {
    const snapshots = madeAt(day(20), day(21), day(11), day(12));
    expect(keptOf(snapshots, { keepLast: 1 })).toEqual([2, 4]);
    expect(keptOf(snapshots, { keepLast: 2 })).toEqual([1, 2, 4]);
    expect(reasonsOf(plan(snapshots, { keepWithin: '36h' }))).toMatchObject({
      1: ['within: after 2026-11-20T00:00:00Z'],
      3: ['unmatched'],
      4: ['newest'],
    });
  });

  test('a snapshot of a time to come makes no other one too old', () => {
    const snapshots = madeAt(day(18), day(19), day(20), '2099-01-01');
    expect(keptOf(snapshots, { keepWithin: '1d' }, day(20))).toEqual([3, 4]);
    expect(keptOf(snapshots, { keepWithin: '2d' }, day(20))).toEqual([2, 3, 4]);
    expect(keptOf(snapshots, { keepDaily: '2d' }, day(20))).toEqual([2, 3, 4]);
  });

  test('many snapshots at once push nobody out of an interval, but out of a number', () => {
    const flood = Array.from({ length: 50 }, (_, i) => Date.parse('2027-01-01') + i * 24 * HOUR_MS);
    const snapshots = madeAt(day(19), day(20), day(21), ...flood);
    expect(keptOf(snapshots, { keepDaily: '7d' }, NOW)).toEqual(expect.arrayContaining([1, 2, 3]));
    expect(keptOf(snapshots, { keepDaily: 7 }, NOW)).not.toContain(3);
  });

  test('a container that stands still keeps its history, and so does a clock that jumps', () => {
    const snapshots = madeAt(day(19), day(20), day(21));
    for (const now of [day(21), '2027-11-21', '2099-01-01']) {
      expect(keptOf(snapshots, { keepWithin: '2d' }, now)).toEqual([2, 3]);
    }
  });

  test('a clock that has gone back keeps more', () => {
    const snapshots = madeAt(day(19), day(20), day(21));
    expect(keptOf(snapshots, { keepWithin: '2d' }, day(20))).toEqual([1, 2, 3]);
    expect(keptOf(snapshots, { keepWithin: '1d' }, '1970-01-01')).toEqual([1, 2, 3]);
  });

  test('the ends of all times are times', () => {
    const snapshots = madeAt(-8.64e15, 0, 8.64e15);
    const policy = { keepWithin: '1y', keepWeekly: '999999999y', keepMonthly: 2 };
    expect(keptOf(snapshots, policy, 8.64e15)).toEqual([1, 2, 3]);
    expect(keptOf(snapshots, { keepWithin: '1y' }, 8.64e15)).toEqual([3]);
    const all = plan(snapshots, { keepWithin: '999999999y' });
    expect(reasonsOf(all)).toMatchObject({ 1: ['within: after all times'] });
  });
});

describe('what is set apart', () => {
  test('pins and labels keep a snapshot whatever else is said', () => {
    const snapshots = [
      made(1, NOW, { pinned: true }),
      made(2, NOW, { labels: [['reason', 'release']] }),
      made(3, NOW, { labels: [['reason', 'ticker']] }),
      made(4, NOW, { labels: [['other', 'release']] }),
      made(5, NOW),
    ];
    const keepLabels = [{ key: 'reason', value: 'release' }];
    expect(reasonsOf(plan(snapshots, { keepLabels }))).toEqual({
      1: ['pinned'],
      2: ['label: reason=release'],
      3: ['unmatched'],
      4: ['unmatched'],
      5: ['newest'],
    });
    expect(keptOf(snapshots, { keepLabels: [{ key: 'reason' }] })).toEqual([1, 2, 3, 5]);
  });

  test('version groups are kept whole, with the one that still fills up', () => {
    const snapshots = hourly(13);
    const versionGroups = { size: 5, keep: 2 };
    expect(keptOf(snapshots, { versionGroups })).toEqual([6, 7, 8, 9, 10, 11, 12, 13]);
    expect(reasonsOf(plan(snapshots, { versionGroups }))).toMatchObject({
      5: ['versionGroup: 1-5'],
      6: ['versionGroup: 6-10'],
      13: ['newest', 'versionGroup: 11-15'],
    });
    expect(keptOf(hourly(15), { versionGroups })).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(keptOf(hourly(16), { versionGroups })).toEqual([11, 12, 13, 14, 15, 16]);
  });

  test('version groups stay the same when members of them are gone', () => {
    const snapshots = hourly(13).filter(({ sequence }) => ![2, 7, 8, 12].includes(sequence));
    expect(keptOf(snapshots, { versionGroups: { size: 5, keep: 2 } })).toEqual([6, 9, 10, 11, 13]);
    const gap = hourly(13).filter(({ sequence }) => sequence < 6 || sequence > 10);
    expect(keptOf(gap, { versionGroups: { size: 5, keep: 2 } })).toEqual([
      1, 2, 3, 4, 5, 11, 12, 13,
    ]);
  });
});

describe('pre-dumps', () => {
  const preDump = (sequence: number, rest: Partial<Made> = {}): Made =>
    made(sequence, NOW_MS + sequence, { kind: 'pre-dump', ...rest });
  const dump = (sequence: number, rest: Partial<Made> = {}): Made =>
    made(sequence, NOW_MS + sequence, rest);

  test('stay as long as a snapshot that is kept continues from them, and are no versions', () => {
    const snapshots = [preDump(1), preDump(2), dump(3), preDump(4), dump(5), preDump(6), dump(7)];
    expect(reasonsOf(plan(snapshots, { keepLast: 2 }))).toEqual({
      1: ['preDump: nothing that is kept continues from it'],
      2: ['preDump: nothing that is kept continues from it'],
      3: ['unmatched'],
      4: ['preDump: parent of 5'],
      5: ['last: 2'],
      6: ['preDump: parent of 7'],
      7: ['newest', 'last: 1'],
    });
    expect(keptOf(snapshots, { keepLast: 3 })).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('may be the parents of several', () => {
    const snapshots = [preDump(1), dump(2), dump(3, { parentId: 'id 1', pinned: true }), dump(4)];
    expect(reasonsOf(plan(snapshots, { keepLast: 1 }))).toMatchObject({
      1: ['preDump: parent of 3'],
    });
    expect(reasonsOf(plan(snapshots, { keepLast: 9 }))).toMatchObject({
      1: ['preDump: parent of 2', 'preDump: parent of 3'],
    });
  });

  test('stay while the dump that they prepare may be on its way', () => {
    const snapshots = [preDump(1), dump(2), preDump(3), preDump(4)];
    expect(reasonsOf(plan(snapshots, { keepLast: 1 }))).toMatchObject({
      3: ['preDump: no snapshot follows it yet', 'preDump: parent of 4'],
      4: ['preDump: no snapshot follows it yet'],
    });
    expect(keptOf([preDump(1), preDump(2)], { keepLast: 1, maxBytes: 1 })).toEqual([1, 2]);
    const given = [...snapshots, dump(5, { parentId: 'id 2' })];
    expect(keptOf(given, { keepLast: 9 })).toEqual([1, 2, 5]);
  });

  test('stay when they are pinned or have a label, with those that lead to them', () => {
    const labels = [['a', 'b']] as const;
    const snapshots = [
      preDump(1),
      preDump(2, { pinned: true }),
      preDump(3),
      preDump(4, { labels }),
      dump(5, { parentId: undefined }),
    ];
    expect(keptOf(snapshots, { keepLabels: [{ key: 'a' }] })).toEqual([1, 2, 3, 4, 5]);
    expect(keptOf(snapshots, { keepLast: 1 })).toEqual([1, 2, 5]);
  });

  test('that claim to be their own parents are no trouble', () => {
    const snapshots = [
      preDump(1, { parentId: 'id 2' }),
      preDump(2, { parentId: 'id 1' }),
      preDump(3, { parentId: 'id 3' }),
      dump(4, { parentId: 'id 2' }),
      dump(5, { parentId: 'id 3' }),
      dump(6, { parentId: undefined }),
    ];
    expect(keptOf(snapshots, { keepLast: 9 })).toEqual([1, 2, 3, 4, 5, 6]);
    expect(keptOf(snapshots, { keepLast: 1 })).toEqual([6]);
    expect(keptOf(snapshots, { keepLast: 2, maxBytes: 1 })).toEqual([3, 6]);
    const ahead = [dump(1, { parentId: 'id 3' }), dump(2), preDump(3)];
    expect(keptOf(ahead, { keepLast: 2, maxBytes: 1 })).toEqual([2, 3]);
  });
});

describe('a size budget', () => {
  test('removes the oldest first, until the rest fits', () => {
    const snapshots = hourly(5);
    const policy = { keepLast: 4, maxBytes: 30 };
    const { keptBytes, overBudgetBytes } = plan(snapshots, policy);
    expect({ keptBytes, overBudgetBytes }).toEqual({ keptBytes: 30, overBudgetBytes: 0 });
    expect(reasonsOf(plan(snapshots, policy))).toEqual({
      1: ['unmatched'],
      2: ['budget'],
      3: ['last: 3'],
      4: ['last: 2'],
      5: ['newest', 'last: 1'],
    });
    expect(keptOf(snapshots, { keepLast: 4, maxBytes: 39 })).toEqual([3, 4, 5]);
    expect(keptOf(snapshots, { keepLast: 4, maxBytes: 40 })).toEqual([2, 3, 4, 5]);
  });

  test('goes by time, not by sequence', () => {
    const snapshots = madeAt(NOW_MS, NOW_MS - 3, NOW_MS - 2, NOW_MS - 1);
    expect(keptOf(snapshots, { keepLast: 4, maxBytes: 30 })).toEqual([1, 3, 4]);
  });

  test('takes pre-dumps with those that they lead to, unless others need them', () => {
    const kind = 'pre-dump';
    const chain = [made(1, 1, { kind }), made(2, 2, { kind }), made(3, 3), made(4, 4), made(5, 5)];
    expect(reasonsOf(plan(chain, { keepLast: 9, maxBytes: 20 }))).toMatchObject({
      1: ['budget'],
      2: ['budget'],
      3: ['budget'],
      4: ['last: 2'],
    });
    const shared = chain.map((each) =>
      each.sequence === 5 ? { ...each, parentId: 'id 2' } : each,
    );
    expect(keptOf(shared, { keepLast: 9, maxBytes: 30 })).toEqual([1, 2, 5]);
    expect(reasonsOf(plan(shared, { keepLast: 9, maxBytes: 30 }))).toMatchObject({
      2: ['preDump: parent of 5'],
    });
  });

  test('says by how much what it may not remove is beyond it', () => {
    const snapshots = hourly(5).map((each) => ({ ...each, pinned: each.sequence < 3 }));
    const { kept, overBudgetBytes } = plan(snapshots, { keepLast: 9, maxBytes: 12 });
    expect(kept.map(({ snapshot }) => snapshot.sequence)).toEqual([1, 2, 5]);
    expect(overBudgetBytes).toBe(18);
    const labelled = hourly(2).map((each) => ({ ...each, labels: [['a', 'b']] as const }));
    expect(keptOf(labelled, { keepLabels: [{ key: 'a' }], maxBytes: 1 })).toEqual([1, 2]);
  });
});
