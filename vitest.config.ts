/**
 * The default run: everything but the long campaigns, which vitest.slow.config.ts runs.
 *
 * All of it runs without worker threads, unless a test asks for some; the suites that tell whether
 * pages go in and out as they should run once more with two of them; the campaigns do so with
 * more suites.
 */
import { defineConfig, type TestProjectConfiguration, type ViteUserConfig } from 'vitest/config';

/** Suites that wait for time stamps, processes and kernels: minutes that the slow run has. */
export const LONG_SUITES: readonly string[] = [
  'test/store/{changed-files,changing-files,damaged-files,many-files,failing-archives}.test.ts',
  'test/store/{changing-images,kill,workers,processes,catalog-damage,index-merge}.test.ts',
  'test/store/{backup-cut-off,bit-flips,repair,repair-{packs,faults,heal,heal-deltas,names,cuts,digests,tables,copies}}.test.ts',
  'test/store/{crashes,nth-failures,failing-system,file-histories}.test.ts',
  'test/store/{collected-histories,collect-{aborts,beside,damage,many,namespaces,states}}.test.ts',
  'test/store/{damage,chain-damage,heads,warm-captures,delta-chains,hostile-archives}.test.ts',
  'test/store/{incremental-archives,backup,backup-{former,trust},collect-views,collect-bounded,states,abort,retired}.test.ts',
  'test/cli/{retention,archives}.test.ts',
  'test/live/{podman,podman-itself,criu-itself,mapped-files}.test.ts',
  'test/support/listing.test.ts',
];

/** Rooms without state of their own: their suites share processes, which halves their time. */
const STATELESS =
  'test/{archives,bytes,catalog,criu,files,images,index,manifest,pack,retention,slices,tree}/**/*.test.ts';

/** Suites of the store with so many worker threads. */
export const withWorkers = (workers: number, suites: string): TestProjectConfiguration => ({
  extends: true,
  test: {
    name: workers === 1 ? '1 worker' : `${workers} workers`,
    include: [`test/store/${suites}.test.ts`],
    env: { CRIU_TIMELINE_WORKERS: String(workers) },
  },
});

const EXCLUDED: readonly string[] = ['test/**/*.slow.test.ts', ...LONG_SUITES];

const config: ViteUserConfig = defineConfig({
  // `@criu-timeline/source` makes the package's own imports and exports resolve to src instead of dist.
  resolve: { conditions: ['@criu-timeline/source'] },
  ssr: { resolve: { conditions: ['@criu-timeline/source', 'node', 'default'] } },
  test: {
    exclude: [...EXCLUDED],
    globalSetup: ['test/support/fixtures.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // For worker threads, which start from src as well.
    execArgv: ['--import', './test/support/typescript.mjs', '-C', '@criu-timeline/source'],
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'rooms', include: [STATELESS], isolate: false } },
      {
        extends: true,
        test: {
          name: 'no workers',
          include: ['test/**/*.test.ts'],
          exclude: [...EXCLUDED, STATELESS],
        },
      },
      withWorkers(2, 'series'),
    ],
  },
});

export default config;
