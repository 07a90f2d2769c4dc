/** What the benchmark of collections makes of numbers, and the garbage that it collects. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isGone, removalsOf } from '../../bench/collect/garbage.ts';
import { busyShare, freedShare, wholeSpan } from '../../bench/collect/shares.ts';
import { parseOptions } from '../../bench/options.ts';
import { growTimeline } from '../../bench/scale/growth.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

describe('what was freed', () => {
  test('is a part of what a new store does without', () => {
    expect(freedShare({ before: 100, after: 40, fresh: 20 })).toBe(0.75);
    expect(freedShare({ before: 100, after: 100, fresh: 20 })).toBe(0);
    expect(freedShare({ before: 100, after: 20, fresh: 20 })).toBe(1);
  });

  test('is less than nothing when the store has grown', () => {
    expect(freedShare({ before: 100, after: 120, fresh: 20 })).toBe(-0.25);
  });

  test('is unknown when the removed took nothing', () => {
    expect(freedShare({ before: 20, after: 20, fresh: 20 })).toBeNaN();
    expect(freedShare({ before: 20, after: 10, fresh: 30 })).toBeNaN();
  });
});

describe('the time in which a collection ran', () => {
  const span = (startedAtMs: number, milliseconds: number) => ({ startedAtMs, milliseconds });

  test('counts only within the captures', () => {
    const captures = span(100, 100);
    expect(busyShare(captures, [])).toBe(0);
    expect(busyShare(captures, [span(0, 100), span(200, 50)])).toBe(0);
    expect(busyShare(captures, [span(50, 100)])).toBe(0.5);
    expect(busyShare(captures, [span(90, 20), span(120, 30), span(190, 100)])).toBe(0.5);
    expect(busyShare(captures, [span(0, 1000)])).toBe(1);
  });

  test('is of the captures from the first to the last, with the gaps', () => {
    expect(wholeSpan([span(10, 5), span(20, 5), span(30, 7)])).toEqual(span(10, 27));
    expect(() => wholeSpan([])).toThrow(RangeError);
  });
});

describe('garbage', () => {
  const SNAPSHOTS = 6;

  test('is a page more of each stretch with every snapshot, and some pages stay', () => {
    for (let snapshot = 0; snapshot < SNAPSHOTS; snapshot++) {
      const gone = Array.from({ length: 60 }, (_, page) => isGone(page, snapshot, SNAPSHOTS));
      expect(gone.filter(Boolean)).toHaveLength(10 * snapshot);
    }
  });

  test('that is gone stays gone', () => {
    for (let page = 0; page < 60; page++) {
      for (let snapshot = 1; snapshot < SNAPSHOTS; snapshot++) {
        if (!isGone(page, snapshot - 1, SNAPSHOTS)) continue;
        expect(isGone(page, snapshot, SNAPSHOTS)).toBe(true);
      }
    }
  });

  test('is removed oldest first, and the last snapshot of each timeline stays', () => {
    expect(removalsOf({ timelines: 2, snapshots: 3, pages: 1 })).toEqual([
      'garbage-0@1',
      'garbage-0@2',
      'garbage-1@1',
      'garbage-1@2',
    ]);
  });
});

test('a timeline that grows by nothing captures nothing', async () => {
  const work = newPath();
  const write = (): void => {
    throw new Error('no dump was asked for');
  };
  await growTimeline({ store: join(work, 'store'), work, timeline: 'none', count: 0, write });
});

test('the suite has a name that the command line and the README know', () => {
  expect(parseOptions(['collect', '--quick'])).toMatchObject({ suites: ['collect'], quick: true });
  const readme = new URL('../../bench/README.md', import.meta.url);
  expect(readFileSync(readme, 'utf8')).toContain('| `collect`');
});
