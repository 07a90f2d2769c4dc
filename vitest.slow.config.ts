/**
 * The long campaigns: long random histories, every crash point, every bit, suites that take long,
 * and everyday ones with worker threads, which start slowly from TypeScript. The variable
 * CRIU_TIMELINE_CASES says how many cases each campaign runs; without it each has its own measure.
 */
import type { ViteUserConfig } from 'vitest/config';
import everyday, { LONG_SUITES, withWorkers } from './vitest.config.ts';

const { projects: _, ...settings } = everyday.test ?? {};

const config: ViteUserConfig = {
  ...everyday,
  test: {
    ...settings,
    exclude: [],
    testTimeout: 14_400_000,
    projects: [
      { extends: true, test: { name: 'campaigns', include: ['test/**/*.slow.test.ts'] } },
      { extends: true, test: { name: 'long suites', include: [...LONG_SUITES] } },
      withWorkers(1, 'round-trip'),
      withWorkers(2, '{round-trip,chain-damage,incremental,heads,histories}'),
    ],
  },
};

export default config;
