/** Policies that make no sense are refused, with the name of the option. */
import { describe, expect, test } from 'vitest';
import { checkPolicy, type RetentionPolicy } from '../../src/retention/policy.ts';

const check = (policy: unknown) => () => checkPolicy(policy as RetentionPolicy);

describe('a policy', () => {
  test('is read with all its options', () => {
    const policy: Required<RetentionPolicy> = {
      keepLast: 1,
      keepWithin: '1d',
      keepSecondly: 2,
      keepMinutely: '1m',
      keepHourly: 3,
      keepDaily: '1d',
      keepWeekly: 4,
      keepMonthly: '1mo',
      keepYearly: 5,
      keepLabels: [{ key: 'a' }, { key: '', value: '' }],
      versionGroups: { size: 5, keep: 3 },
      maxBytes: 6,
    };
    expect(checkPolicy(policy)).toEqual({
      last: 1,
      within: { months: 0, milliseconds: 86_400_000 },
      buckets: [
        { rule: 'secondly', toKeep: 2 },
        { rule: 'minutely', toKeep: { months: 0, milliseconds: 60_000 } },
        { rule: 'hourly', toKeep: 3 },
        { rule: 'daily', toKeep: { months: 0, milliseconds: 86_400_000 } },
        { rule: 'weekly', toKeep: 4 },
        { rule: 'monthly', toKeep: { months: 1, milliseconds: 0 } },
        { rule: 'yearly', toKeep: 5 },
      ],
      labels: [{ key: 'a' }, { key: '', value: '' }],
      versionGroups: { size: 5, keep: 3 },
      maxBytes: 6,
    });
  });

  test.each([
    { keepLast: 1 },
    { keepWithin: '1s' },
    { keepHourly: 1, keepLast: undefined },
    { keepLabels: [{ key: 'a', value: undefined }] },
    { versionGroups: { size: 1, keep: 1 } },
  ])('needs one rule that keeps something: %j', (policy) => {
    expect(check(policy)).not.toThrow();
  });

  test.each([{}, { maxBytes: 5 }, { keepLabels: [] }, { keepLast: undefined }])(
    'that keeps nothing is refused: %j',
    (policy) => {
      expect(check(policy)).toThrow(RangeError);
      expect(check(policy)).toThrow(/keepLast/);
    },
  );

  test.each([undefined, null, 5, 'daily', [], () => 1])('is an object, not %j', (policy) => {
    expect(check(policy)).toThrow(TypeError);
    expect(check(policy)).toThrow('a policy is not an object');
  });

  const buckets = ['Secondly', 'Minutely', 'Hourly', 'Daily', 'Weekly', 'Monthly', 'Yearly'];

  test.each(['keepLast', 'maxBytes', ...buckets.map((name) => `keep${name}`)])(
    'refuses numbers for %s that are none to count with',
    (option) => {
      for (const value of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53]) {
        expect(check({ keepWithin: '1d', [option]: value })).toThrow(RangeError);
        expect(check({ keepWithin: '1d', [option]: value })).toThrow(`${option} is ${value}`);
      }
      for (const value of [null, true, {}, [5], 5n]) {
        expect(check({ keepWithin: '1d', [option]: value })).toThrow(TypeError);
        expect(check({ keepWithin: '1d', [option]: value })).toThrow(new RegExp(`^${option} is`));
      }
    },
  );

  test.each(['keepWithin', ...buckets.map((name) => `keep${name}`)])(
    'refuses intervals for %s that are none',
    (option) => {
      for (const value of ['', '5', '5x', '0d']) {
        expect(check({ [option]: value })).toThrow(RangeError);
        expect(check({ [option]: value })).toThrow(`${option} is '${value}'`);
      }
    },
  );

  test.each([
    [{ keepLast: '5' }, 'keepLast is not a number'],
    [{ maxBytes: '5' }, 'maxBytes is not a number'],
    [{ keepWithin: 5 }, 'keepWithin is not an interval'],
    [{ keepHourley: 5, keepLast: 1 }, "a policy has no option 'keepHourley'"],
    [{ keepPinned: false, keepLast: 1 }, "a policy has no option 'keepPinned'"],
    [{ keepLabels: 'a' }, 'keepLabels is not a list'],
    [{ keepLabels: { key: 'a' } }, 'keepLabels is not a list'],
    [{ keepLabels: ['a'] }, 'keepLabels[0] is not an object'],
    [{ keepLabels: [{ key: 'a' }, {}] }, 'keepLabels[1].key is not a text'],
    [{ keepLabels: [{ key: 'a', value: 5 }] }, 'keepLabels[0].value is not a text'],
    [{ keepLabels: [{ key: 'a', vaule: 'b' }] }, "keepLabels[0] has no option 'vaule'"],
    [{ versionGroups: '5:3' }, 'versionGroups is not an object'],
    [{ versionGroups: { size: 5 } }, 'versionGroups.keep is not a number'],
    [{ versionGroups: { size: '5', keep: 3 } }, 'versionGroups.size is not a number'],
    [{ versionGroups: { size: 5, keep: 3, max: 1 } }, "versionGroups has no option 'max'"],
  ])('of the wrong type is refused: %j', (policy, message) => {
    expect(check(policy)).toThrow(TypeError);
    expect(check(policy)).toThrow(message);
  });

  test.each([
    [{ versionGroups: { size: 0, keep: 3 } }, 'versionGroups.size is 0'],
    [{ versionGroups: { size: 5, keep: -1 } }, 'versionGroups.keep is -1'],
  ])('out of range is refused: %j', (policy, message) => {
    expect(check(policy)).toThrow(RangeError);
    expect(check(policy)).toThrow(message);
  });
});
