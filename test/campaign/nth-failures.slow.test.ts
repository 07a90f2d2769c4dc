/**
 * A system that fails at every call of every operation, with each of its errors, once and for good:
 * some thousands of stores. CRIU_TIMELINE_CASES bounds the failures of each operation and error.
 */
import { expect, test } from 'vitest';
import { failEveryCall, makeTemplate, SYSTEM_FAILURES } from '../support/nth-failures.ts';
import { OPERATIONS } from '../support/store-operations.ts';
import { memoryPaths } from '../support/temporary.ts';

const newPath = memoryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? 1000);
/** More calls than any operation makes here. */
const MOST_CALLS = 400;

test.each(OPERATIONS)(
  'a system that fails at any call of $name leaves a store that goes on',
  async (tried) => {
    const template = await makeTemplate(newPath);
    const complaints: string[] = [];
    let [faults, failures] = [0, 0];
    for (const failure of SYSTEM_FAILURES) {
      const sample = { first: 1, stride: Math.max(1, Math.ceil(MOST_CALLS / cases)) };
      const report = await failEveryCall(newPath, template, tried, failure, sample);
      complaints.push(...report.complaints);
      faults += report.faults;
      failures += report.failures;
    }
    const counts = `${faults} faults, ${failures} of them not survived`;
    process.stderr.write(`failing system (${tried.name}): ${counts}\n`);
    expect(complaints).toEqual([]);
  },
);
