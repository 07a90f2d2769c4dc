/** The time of a collection, on a clock that tests turn. */
import { expect, test } from 'vitest';
import { TimeIsOver, TimeLimit } from '../../src/store/time-limit.ts';

test('the first step is done however late it is, and none after the end', () => {
  let nowMs = 100;
  const time = new TimeLimit(50, () => nowMs);
  expect([time.isLimited, time.isOver]).toEqual([true, false]);
  nowMs = 1000;
  time.check();
  expect(time.isOver).toBe(false);
  time.worked();
  expect(time.isOver).toBe(true);
  expect(() => {
    time.check();
  }).toThrow(TimeIsOver);
  nowMs = 149;
  time.check();
  nowMs = 150;
  expect(time.isOver).toBe(true);
});

test('without a limit it is never over, and others are waited for five seconds', () => {
  let nowMs = 7;
  const time = new TimeLimit(Infinity, () => nowMs);
  time.worked();
  nowMs = 1e12;
  time.check();
  expect(time.isLimited).toBe(false);
  expect(time.patience(undefined)).toEqual({ deadlineMs: 1e12 + 5000, signal: undefined });
});

test('others are waited for half of the time that is left', () => {
  let nowMs = 0;
  const time = new TimeLimit(4000, () => nowMs);
  expect(time.patience(undefined).deadlineMs).toBe(2000);
  nowMs = 3000;
  expect(time.patience(undefined).deadlineMs).toBe(3500);
  nowMs = 9000;
  expect(time.patience(undefined).deadlineMs).toBe(9000);
  expect(new TimeLimit(60_000, () => 0).patience(undefined).deadlineMs).toBe(5000);
});
