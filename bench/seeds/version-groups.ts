/** What a group of 1 to 16 versions takes, against one: the table of version groups. */
import { join } from 'node:path';
import { redisSource } from '../live/sources.ts';
import { captureSource } from '../measure/timeline.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';

const GROUPS = [1, 2, 3, 5, 8, 12, 16] as const;
const QUICK_SHARE = 0.1;
const MEGA = 1e6;

/** One timeline of sixteen dumps; a group is its first so many. */
export async function measureVersionGroups({ work, quick, say }: SuiteTask): Promise<SuiteResult> {
  const source = await redisSource(join(work, 'live'), quick ? QUICK_SHARE : 1);
  const count = Math.max(...GROUPS);
  say(`${count} versions of ${source.label}`);
  try {
    const captures = await captureSource(source, count, { store: join(work, 'store'), work });
    const sum = (size: number, pick: 'keptBytes' | 'logicalBytes'): number =>
      captures.slice(0, size).reduce((all, each) => all + each[pick], 0);
    const one = sum(1, 'keptBytes');
    const rows = GROUPS.map((size) => ({
      versions: size,
      'full, MB': (sum(size, 'logicalBytes') / MEGA).toFixed(1),
      'stored, MB': (sum(size, 'keptBytes') / MEGA).toFixed(2),
      'x one version': (sum(size, 'keptBytes') / one).toFixed(2),
    }));
    const points = GROUPS.map((size) => [size, sum(size, 'keptBytes') / one] as const);
    const lines = [{ label: source.label, points }];
    return {
      tables: [{ title: `Groups of versions: ${source.label}`, rows }],
      bars: [],
      plots: [{ kind: 'lines', title: 'stored', unit: 'x one', xTitle: 'versions', lines }],
      raw: captures,
    };
  } finally {
    await source.close();
  }
}
