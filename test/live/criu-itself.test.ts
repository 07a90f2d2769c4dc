/**
 * Checks the stage of criu.ts by itself, without our store in between: when these fail, the
 * machine or the scaffolding is at fault; when only the others fail, we are.
 */
import fs from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CRIU_VERSIONS, Stage, findCriu } from './criu.ts';

function openStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.close());
  return stage;
}

/** Whether a process of this id exists that is not waiting to be buried. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

describe.each(CRIU_VERSIONS)('CRIU %s by itself', (version) => {
  const criu = findCriu(version) ?? '';

  test.skipIf(criu === '')(
    'a dumped process goes on counting where the dump was taken',
    async () => {
      const stage = openStage();
      const counter = await stage.startCounter();
      await counter.countAbove(20);
      const dumped = await stage.dump(criu, counter, stage.path('images'));
      expect(isAlive(counter.pid)).toBe(false);

      const restored = await stage.restore(criu, stage.path('images'));
      const first = restored.count();
      expect(first).toBeGreaterThanOrEqual(dumped.atLeast);
      expect(first).toBeLessThan(dumped.atMost + 500);
      await restored.countAbove(first + 20);
    },
  );

  test.skipIf(criu === '')('a process left running can be rewound to an earlier dump', async () => {
    const stage = openStage();
    const counter = await stage.startCounter();
    await counter.countAbove(10);
    const early = await stage.dump(criu, counter, stage.path('1'), { leaveRunning: true });
    await counter.countAbove(early.atMost + 100);
    const late = await stage.dump(criu, counter, stage.path('2'), { leaveRunning: true });
    await counter.kill();

    const rewound = await stage.restore(criu, stage.path('1'));
    const first = rewound.count();
    expect(first).toBeGreaterThanOrEqual(early.atLeast);
    expect(first).toBeLessThan(late.atLeast);
    await rewound.kill();

    const forward = await stage.restore(criu, stage.path('2'));
    expect(forward.count()).toBeGreaterThanOrEqual(late.atLeast);
  });

  test.skipIf(criu === '')('nothing outlives the stage', async () => {
    const stage = openStage();
    const counter = await stage.startCounter();
    await stage.dump(criu, counter, stage.path('images'), { leaveRunning: true });
    const second = new Stage();
    const other = await second.startCounter();
    await second.close();
    expect(isAlive(other.pid)).toBe(false);
    expect(isAlive(counter.pid)).toBe(true);
    await counter.kill();

    const restored = await stage.restore(criu, stage.path('images'));
    const children = fs.readFileSync(
      `/proc/${restored.pid}/task/${restored.pid}/children`,
      'latin1',
    );
    expect(children.trim()).not.toBe('');
    await stage.close();
    expect(isAlive(restored.pid)).toBe(false);
    for (const pid of children.trim().split(' ')) {
      await expect.poll(() => isAlive(Number(pid)), { timeout: 5000 }).toBe(false);
    }
    expect(fs.existsSync(stage.directory)).toBe(false);
  });

  test.skipIf(criu === '')('damaged images are an error with the log, not a hang', async () => {
    const stage = openStage();
    const counter = await stage.startCounter();
    await stage.dump(criu, counter, stage.path('images'));
    fs.truncateSync(stage.path(`images/core-${counter.pid}.img`), 100);
    await expect(stage.restore(criu, stage.path('images'))).rejects.toThrow(/criu restore failed/);
  });
});
