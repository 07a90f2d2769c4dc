/** What a verification keeps of what it finds: each thing once, and not more than fits. */
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../src/index.ts';
import { Findings } from '../../src/store/verify-findings.ts';

const corrupt = (message: string, file = '/store/packs/ab/ab.pack', offset?: number): StoreError =>
  new StoreError('CORRUPT', message, { file, offset });

describe('findings', () => {
  test('have each problem once, for each snapshot', () => {
    const findings = new Findings();
    for (const snapshot of [undefined, 'A', 'A', 'B']) findings.add(corrupt('bad', 'x'), snapshot);
    expect(findings.problems.map(({ snapshot }) => snapshot)).toEqual([undefined, 'A', 'B']);
    expect(findings.problemCount).toBe(3);
  });

  test('count all, and keep the first 10,000, and 16 of each pack', () => {
    const findings = new Findings();
    for (let i = 0; i < 12_000; i++) findings.add(corrupt(`bad ${i}`));
    expect(findings.problems).toHaveLength(10_000);
    expect(findings.problemCount).toBe(12_000);
    const [pack, ...others] = findings.damagedPacks();
    expect(others).toEqual([]);
    expect(pack).toMatchObject({ name: 'ab', problemCount: 12_000 });
    expect(pack?.problems).toHaveLength(16);
  });

  test('name packs by what is wrong with them, and nothing else', () => {
    const findings = new Findings();
    findings.add(corrupt('bad', '/store/catalog.sqlite'));
    findings.add(corrupt('bad frame', undefined, 16), 'A');
    findings.add(corrupt('bad frame', undefined, 16), 'B');
    const file = '/store/packs/ab/ab.pack';
    const pack = { name: 'ab', file, problems: ['bad frame'], problemCount: 1 };
    expect(findings.damagedPacks()).toEqual([pack]);
  });

  test('take only damage of the store: anything else is thrown on', async () => {
    const findings = new Findings();
    for (const error of [new Error('x'), new StoreError('STORAGE', 'a worker thread stopped')]) {
      const fail = (): never => {
        throw error;
      };
      expect(() => findings.collect(fail)).toThrow(error);
      await expect(findings.collectLater(() => Promise.reject(error))).rejects.toThrow(error);
    }
    expect(findings.problems).toEqual([]);
  });
});
