/**
 * Packs that a collection cannot read, and nobody needs, beside captures on other handles that can
 * still read them: what is remembered of a pack must not bring it back while it goes.
 */
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { captureMemory, expectMemory, firstMemory } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, randomPages, writeDump } from '../support/made-memory.ts';
import { packFiles, packsOf } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** Takes nothing until `release` is called. */
function stalledStream(): { stream: Writable; release: () => void } {
  let waiting: (() => void) | undefined;
  let isOpen = false;
  const stream = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => {
      if (isOpen) done();
      else waiting = done;
    },
  });
  const release = (): void => {
    isOpen = true;
    waiting?.();
    waiting = undefined;
  };
  return { stream, release };
}

test.each(['frame table', 'footer'])(
  'a pack with a damaged %s is not referred to while it goes',
  async (part) => {
    const store = await openStore(newPath());
    const kept = await captureMemory(store, newPath, firstMemory(50));
    const doomed = firstMemory(300, 7);
    for (const timeline of ['u', 'v']) {
      const images = writeDump(newPath(), doomed);
      await (await store.timeline(timeline).capture({ images })).remove();
    }
    const pack = (await packsOf(store.directory)).find(({ frames }) => frames.length > 3);
    const { path = '', sizeBytes = 0, manifestOffset = 0 } = pack ?? {};
    // The table is the block before the manifest; the footer's ends at the trailer.
    if (part === 'footer') damageBlock(path, sizeBytes - 60, 40);
    else damageBlock(path, manifestOffset - 40, 40);

    // So many new pages that the collection is done while they are captured.
    const many = randomPages(16, 6000, 9);
    const memory: Memory = { ...doomed, spaces: new Map([...doomed.spaces, ['pagemap-2', many]]) };
    const other = await openStore(store.directory);
    // What began before the condemnation holds the collection up between that and the rest.
    const { stream, release } = stalledStream();
    const exported = store.snapshot(kept.id).export(stream);
    const { generation } = other.statistics();
    const collected = other.collect({ wasteThreshold: 0 });
    while (other.statistics().generation === generation) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const images = writeDump(newPath(), memory);
    const captured = await store.timeline('w').capture({ images }, { onProgress: release });
    await exported;
    expect((await collected).droppedPacks).toBe(2);
    expect(packFiles(store.directory)).not.toContain(path);
    await expectMemory(captured, memory, newPath);
    await expectMemory(kept, firstMemory(50), newPath);
  },
);

test.each(['u', 't'])(
  'a pack that another handle found to be damaged is not referred to any more (into %s)',
  async (timeline) => {
    const memory = firstMemory(300, 3);
    const store = await openStore(newPath());
    await captureMemory(store, newPath, memory);
    const [pack] = await packsOf(store.directory);
    // The tables are in the memory of this handle.
    await expectMemory(store.snapshot('t'), memory, newPath);
    damageBlock(pack?.path ?? '', (pack?.manifestOffset ?? 0) - 40, 40);
    const other = await openStore(store.directory);
    expect((await other.verify({ level: 'quick' })).damagedPacks).toHaveLength(1);
    const images = writeDump(newPath(), memory);
    const { id } = await store.timeline(timeline).capture({ images });
    const third = await openStore(store.directory);
    await expectMemory(third.snapshot(id), memory, newPath);
  },
);
