/** What the benchmark makes of numbers: medians, ratios, verdicts, plots. */
import { describe, expect, test } from 'vitest';
import { frameRatio, metadataPercent } from '../../bench/measure/diagnostics.ts';
import { median, ratios, withSpread } from '../../bench/measure/statistics.ts';
import { parseOptions } from '../../bench/options.ts';
import { countCalls } from '../../bench/process/trace.ts';
import { BARS, judge } from '../../bench/report/bars.ts';
import { drawPlots } from '../../bench/report/svg.ts';

describe('statistics', () => {
  test('take the middle, and the mean of the two in the middle', () => {
    expect(median([9, 1, 4])).toBe(4);
    expect(median([10, 2, 1, 4])).toBe(3);
    expect(median([])).toBeNaN();
  });

  test('take ratios run by run, of the runs that both have', () => {
    expect(ratios([10, 30, 5], [5, 10])).toEqual([2, 3]);
  });

  test('show a spread only where there is one', () => {
    expect(withSpread([3])).toBe('3');
    expect(withSpread([3, 1, 2])).toBe('2 (1-3)');
    expect(withSpread([])).toBe('');
  });
});

test('a verdict tells must from aim, in either direction', () => {
  const { 'capture-tar': higher, 'restore-newest': lower } = BARS;
  expect([2, 1, 0.99].map((value) => judge(higher, value))).toEqual([
    'PASS, aim reached',
    'PASS',
    'FAIL',
  ]);
  expect([1, 1.5, 1.51].map((value) => judge(lower, value))).toEqual([
    'PASS, aim reached',
    'PASS',
    'FAIL',
  ]);
  expect([undefined, NaN].map((value) => judge(lower, value))).toEqual(['n/a', 'n/a']);
});

test('calls are added up from a summary of strace, without its total', () => {
  const summary = [
    '% time     seconds  usecs/call     calls    errors syscall',
    '------ ----------- ----------- --------- --------- ----------------',
    ' 62.50    0.000005           1         5           fsync',
    ' 37.50    0.000003           1         3         1 fdatasync',
    '------ ----------- ----------- --------- --------- ----------------',
    '100.00    0.000008           1         8         1 total',
  ];
  expect(countCalls(summary.join('\n'))).toBe(8);
  expect(countCalls('')).toBe(0);
});

test('diagnostics are unknown without a report, and a restore may need no frames', () => {
  expect(frameRatio(undefined)).toBeUndefined();
  expect(
    frameRatio({
      bytes: 1,
      framesDecoded: 12,
      framesNeeded: 10,
      files: undefined,
      missing: { bytes: 0, runs: [] },
    }),
  ).toBe(1.2);
  expect(
    frameRatio({
      bytes: 0,
      framesDecoded: 0,
      framesNeeded: 0,
      files: undefined,
      missing: { bytes: 0, runs: [] },
    }),
  ).toBe(0);
  expect(metadataPercent(undefined, 100)).toBeUndefined();
  expect(metadataPercent({ frameBytes: 80 }, 100)).toBeCloseTo(20);
});

test('plots keep to their picture, whatever the numbers are', () => {
  const svg = drawPlots('a < b & c', [
    { kind: 'bars', title: 'none', unit: 'ms', values: [] },
    { kind: 'bars', title: 'odd', unit: 'ms', values: [{ label: 'x', value: NaN }] },
    {
      kind: 'lines',
      title: 'one',
      unit: 'ms',
      xTitle: 'n',
      lines: [{ label: 'y', points: [[1, 0]] }],
    },
  ]);
  expect(svg).toContain('a &lt; b &amp; c');
  expect(svg).not.toMatch(/(NaN|Infinity|undefined)/);
});

describe('the command line', () => {
  test('runs peers when nothing is said, and a quick run once', () => {
    expect(parseOptions([])).toMatchObject({ suites: ['peers'], runs: 3, quick: false });
    expect(parseOptions(['micro', 'long', '--quick'])).toMatchObject({
      suites: ['micro', 'long'],
      runs: 1,
    });
    expect(parseOptions(['--help'])).toBeUndefined();
  });

  test.each([
    [['fast']],
    [['--runs', '0']],
    [['--sizes', 'all']],
    [['--series', '/nowhere/at/all']],
  ])('refuses %j', (parameters) => {
    expect(() => parseOptions(parameters)).toThrow(RangeError);
  });
});
