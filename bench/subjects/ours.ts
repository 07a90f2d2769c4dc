/** This library: in one process that keeps the store open, and as a process for each command. */
import { fileURLToPath } from 'node:url';
import { childCommand } from '../measure/child.ts';
import { peer } from './peer.ts';
import type { Subject } from './subject.ts';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const TIMELINE = 'bench';

/** What may change between two series of measurements: all cores are used unless it says so. */
const OPTIONS = {};

/** Restores in one process; code runs at full speed from the fourth on. */
const RESTORES_AGAIN = 5;

/** How it is embedded. Times are taken in the process: open, all captures, close. */
export const inProcess: Subject = {
  name: 'criu-timeline',
  needs: [],
  version: `"${process.execPath}" "${CLI}" --version`,
  isInProcess: true,
  cacheName: 'cache',
  prepare: () => [],
  store: ({ repository }, dumps) => [
    childCommand({
      store: repository,
      options: { ...OPTIONS, create: true },
      captures: dumps.map(({ path }) => ({ timeline: TIMELINE, images: path })),
      statistics: true,
    }),
  ],
  restore: ({ repository }, _dumps, index, target) => [
    childCommand({
      store: repository,
      options: OPTIONS,
      restores: [{ snapshot: `${TIMELINE}@${index + 1}`, target }],
    }),
  ],
  restoreAgain: ({ repository }, _dumps, index, target) => {
    const restore = { snapshot: `${TIMELINE}@${index + 1}`, target, discard: true };
    const restores = Array.from({ length: RESTORES_AGAIN }, () => restore);
    return childCommand({ store: repository, options: OPTIONS, restores });
  },
};

/** How it is used from a shell. */
export const commandLine: Subject = peer({
  name: 'criu-timeline, CLI',
  needs: [],
  version: `"${process.execPath}" "${CLI}" --version`,
  cacheName: 'cache',
  store: `"$NODE" "$CLI" capture --store "$REPOSITORY" ${TIMELINE} .`,
  restore: `set -- $CHAIN; "$NODE" "$CLI" restore --store "$REPOSITORY" ${TIMELINE}@$# "$TARGET"`,
  variables: () => ({ NODE: process.execPath, CLI }),
});
