/** The default run: everything but the long campaigns, which vitest.slow.config.ts runs. */
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  // `@criu-timeline/source` makes the package's own imports and exports resolve to src instead of dist.
  resolve: { conditions: ['@criu-timeline/source'] },
  ssr: { resolve: { conditions: ['@criu-timeline/source', 'node', 'default'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.slow.test.ts'],
    globalSetup: ['test/support/fixtures.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});

export default config;
