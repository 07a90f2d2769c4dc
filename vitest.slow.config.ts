/**
 * The long campaigns: long random histories, every crash point, every bit. The variable
 * CRIU_TIMELINE_CASES says how many cases each campaign runs; without it each has its own measure.
 */
import type { ViteUserConfig } from 'vitest/config';
import everyday from './vitest.config.ts';

const { projects: _, ...settings } = everyday.test ?? {};

const config: ViteUserConfig = {
  ...everyday,
  test: {
    ...settings,
    include: ['test/**/*.slow.test.ts'],
    exclude: [],
    testTimeout: 3_600_000,
  },
};

export default config;
