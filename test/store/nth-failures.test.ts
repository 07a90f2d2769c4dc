/**
 * A system that fails while an operation runs, with each of its errors, once or for good: a sample
 * of the calls that may fail; test/campaign has all of them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  failEveryCall,
  makeTemplate,
  SYSTEM_FAILURES,
  type SystemFailure,
} from '../support/nth-failures.ts';
import {
  operation,
  OPERATIONS,
  type StoreOperation,
  type World,
} from '../support/store-operations.ts';
import { memoryPaths } from '../support/temporary.ts';

const newPath = memoryPaths();
/** Calls between two that fail, and how many fail at least, of operations that go to the disk. */
const STRIDE = 151;
const MINIMUM = 4;

let template: World;
beforeAll(async () => {
  template = await makeTemplate(newPath);
});

test.each(OPERATIONS)(
  'a system that fails during $name leaves a store that goes on',
  async (tried) => {
    const complaints: string[] = [];
    let faults = 0;
    for (const [i, failure] of SYSTEM_FAILURES.entries()) {
      const sample = { first: 1 + ((i * 7) % STRIDE), stride: STRIDE };
      const report = await failEveryCall(newPath, template, tried, failure, sample);
      complaints.push(...report.complaints);
      faults += report.faults;
    }
    expect(complaints).toEqual([]);
    expect(faults).toBeGreaterThanOrEqual(tried.name.startsWith('capture') ? MINIMUM : 0);
  },
);

describe('an operation that fails and', () => {
  const failure: SystemFailure = { code: 'ENOSPC', calls: ['rename'], isSticky: false };
  const complaintsOf = async (run: StoreOperation['run']): Promise<readonly string[]> => {
    const report = await failEveryCall(newPath, template, { name: 'tried', run }, failure);
    expect(report.failures).toBe(2);
    return report.complaints;
  };
  const capture = operation('capture');

  test('says nothing of the system would be found out', async () => {
    const complaints = await complaintsOf(async (world) => {
      await capture.run(world).catch(() => {
        throw new Error('something is wrong');
      });
    });
    expect(complaints).toHaveLength(2);
    expect(complaints[0]).toMatch(/^tried, rename by store\/publish.*something is wrong/);
  });

  test('leaves something behind would be found out', async () => {
    const complaints = await complaintsOf(async (world) => {
      writeFileSync(join(world.directory, 'index', 'left'), 'something');
      await capture.run(world);
    });
    expect(complaints).toHaveLength(2);
  });

  test('has made a part of it would be found out', async () => {
    const complaints = await complaintsOf(async (world) => {
      await operation('remove').run(world);
      await capture.run(world);
    });
    expect(complaints).toHaveLength(2);
  });
});
