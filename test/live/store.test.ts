/**
 * What the library is for: a live process is dumped, captured, its dump deleted, the images
 * restored, and the real CRIU continues the process from them.
 */
import fs from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openImageDirectory } from '../../src/criu.ts';
import type { SnapshotStore } from '../../src/index.ts';
import { makeIncrementalDump } from '../support/image-directories.ts';
import { CRIU_VERSIONS, Stage, findCriu } from './criu.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

async function openStageWithStore(): Promise<{ stage: Stage; store: SnapshotStore }> {
  const stage = new Stage();
  onTestFinished(() => stage.close());
  const store = await openUnmanaged(stage.path('store'), { create: true });
  onTestFinished(() => store.close());
  return { stage, store };
}

describe.each(CRIU_VERSIONS)('with CRIU %s', (version) => {
  const criu = findCriu(version) ?? '';

  test.skipIf(criu === '')(
    'a captured process goes on counting from its restored images',
    async () => {
      const { stage, store } = await openStageWithStore();
      const counter = await stage.startCounter();
      await counter.countAbove(20);
      const dumped = await stage.dump(criu, counter, stage.path('images'));
      const snapshot = await store.timeline('counter').capture({ images: stage.path('images') });
      expect(snapshot.describe().processes.map(({ command }) => command)).toEqual(['perl']);
      fs.rmSync(stage.path('images'), { recursive: true });

      await snapshot.restore(stage.path('rebuilt'));
      const restored = await stage.restore(criu, stage.path('rebuilt'));
      const first = restored.count();
      expect(first).toBeGreaterThanOrEqual(dumped.atLeast);
      expect(first).toBeLessThan(dumped.atMost + 500);
      await restored.countAbove(first + 20);
    },
  );

  test.skipIf(criu === '')('a process can be rewound to any captured moment', async () => {
    const { stage, store } = await openStageWithStore();
    const timeline = store.timeline('counter');
    const counter = await stage.startCounter();
    const moments: { atLeast: number; atMost: number }[] = [];
    for (const name of ['1', '2', '3']) {
      await counter.countAbove((moments.at(-1)?.atMost ?? 0) + 30);
      moments.push(await stage.dump(criu, counter, stage.path(name), { leaveRunning: true }));
      await timeline.capture({ images: stage.path(name) });
      fs.rmSync(stage.path(name), { recursive: true });
    }
    await counter.kill();
    await store.snapshot('counter@3').remove();

    // The middle one, with the one before it removed, and the one after it, too.
    await store.snapshot('counter@1').remove();
    await store.snapshot('counter@2').restore(stage.path('rebuilt'));
    const rewound = await stage.restore(criu, stage.path('rebuilt'));
    const first = rewound.count();
    expect(first).toBeGreaterThanOrEqual(moments[1]?.atLeast ?? Infinity);
    expect(first).toBeLessThan(moments[2]?.atLeast ?? 0);
    await rewound.countAbove(first + 20);
  });

  test.skipIf(criu === '')('a captured chain comes back flat, and goes on counting', async () => {
    const { stage, store } = await openStageWithStore();
    const counter = await stage.startCounter();
    await counter.countAbove(20);
    const early = await stage.dump(criu, counter, stage.path('1'), { leaveRunning: true });
    await counter.countAbove(early.atMost + 40);
    const late = await stage.dump(criu, counter, stage.path('full'));
    // Kernels without dirty tracking cannot dump increments: this one is computed.
    makeIncrementalDump(stage.path('1'), stage.path('full'), stage.path('2'));
    const chained = openImageDirectory(stage.path('2'));
    expect(chained.chainDepth).toBe(1);
    const pagesOf = (name: string): number =>
      fs.readdirSync(stage.path(name)).reduce((sum, file) => {
        const isPages = file.startsWith('pages-');
        return sum + (isPages ? fs.statSync(stage.path(`${name}/${file}`)).size : 0);
      }, 0);
    expect(pagesOf('2')).toBeLessThan(pagesOf('full') / 2);

    const snapshot = await store.timeline('counter').capture({ images: stage.path('2') });
    for (const name of ['1', '2', 'full']) fs.rmSync(stage.path(name), { recursive: true });
    await snapshot.restore(stage.path('rebuilt'));
    expect(fs.existsSync(stage.path('rebuilt/parent'))).toBe(false);
    const restored = await stage.restore(criu, stage.path('rebuilt'));
    const first = restored.count();
    expect(first).toBeGreaterThanOrEqual(late.atLeast);
    await restored.countAbove(first + 20);
  });
});
