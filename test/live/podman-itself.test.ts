/**
 * What the other live tests with podman rest upon: without the library, podman brings a container
 * back from an archive of its own, and files and memory belong together as the stage says.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PodmanStage, findPodman, logUpTo, type Moment } from './podman.ts';

const driver = findPodman();

test.skipIf(driver === undefined)(
  'a container goes back to an archive of podman, and on from there',
  async () => {
    const stage = new PodmanStage(driver ?? 'vfs');
    onTestFinished(() => stage.close());
    const container = await stage.start();
    const moments: Moment[] = [];
    for (const [name, compression] of [
      ['1', 'none'],
      ['2', 'gzip'],
      ['3', 'zstd'],
    ] as const) {
      await container.countAbove((moments.at(-1)?.count ?? 0) + 20);
      const moment = await container.hold();
      expect(moment.log).toBe(logUpTo(moment.count));
      if (driver === 'overlay') {
        const upper = await container.upperDirectory();
        expect(readFileSync(join(upper, 'srv/log'), 'utf8')).toBe(moment.log);
      }
      await container.checkpoint(stage.path(name), compression);
      expect(await container.moment()).toEqual({ ...moment, ticks: expect.any(Number) });
      await container.goOn();
      moments.push(moment);
    }
    await container.remove();

    const restored = await stage.restore(stage.path('2'));
    const first = await restored.moment();
    expect(first).toEqual({ ...moments[1], ticks: expect.any(Number) });
    expect(first.ticks).toBeGreaterThanOrEqual(moments[1]?.ticks ?? Infinity);
    await restored.goOn();
    await restored.countAbove(first.count + 20);
    const later = await restored.hold();
    expect(later.log).toBe(logUpTo(later.count));
    expect(later.ticks).toBeGreaterThan(first.ticks);
    expect(later.tableDigest).not.toBe(first.tableDigest);
  },
);
