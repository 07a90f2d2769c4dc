/** Several processes with one store: they create it, and capture into it, at the same time. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { type Child, type Report, startChild } from '../support/children.ts';
import { expectFailure } from '../support/failures.ts';
import { makeDump } from '../support/made-dumps.ts';
import { readCatalog } from '../support/store-state.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

function workPlace(): string {
  const path = newPath();
  mkdirSync(path);
  return path;
}

/** Ids of acknowledged snapshots by seed. */
function acknowledged(children: readonly Child[]): Map<number, string> {
  const captured = (report: Report) => report.event === 'captured';
  return new Map(
    children.flatMap(({ reports }) => reports.filter(captured).map(({ seed, id }) => [seed, id])),
  );
}

/** Fails unless sequences are 1 to n, and each snapshot continues the one before it. */
async function expectChain(store: SnapshotStore, timeline: string, length: number): Promise<void> {
  const list = store.timeline(timeline).list();
  expect(list.map(({ sequence }) => sequence)).toEqual(Array.from({ length }, (_, i) => i + 1));
  expect(list.map(({ parentId }) => parentId)).toEqual([
    undefined,
    ...list.slice(0, -1).map(({ id }) => id),
  ]);
  const parents = readCatalog(store.directory, (catalog) =>
    catalog
      .prepare('SELECT hex(digest), hex(parent_digest) FROM snapshots ORDER BY timeline, sequence')
      .raw()
      .all(),
  ) as [string, string][];
  expect(parents.slice(1).map(([, parent]) => parent)).toEqual(
    parents.slice(0, -1).map(([digest]) => digest),
  );
  expect((await store.verify()).problems).toEqual([]);
}

describe('two processes', () => {
  test('that create one store at the same time both get it, and it is one', async () => {
    for (let round = 0; round < 3; round++) {
      const directory = newPath();
      const task = { directory, timeline: 't', count: 1, stay: true };
      const children = [0, 1, 2].map((first) => startChild({ ...task, first, work: workPlace() }));
      for (const child of children) await child.said('done');
      const open = children.map(({ reports }) => reports.find(({ event }) => event === 'open'));
      expect(new Set(open.map((report) => JSON.stringify(report))).size).toBe(1);
      expect(readdirSync(join(directory, 'staging'))).toHaveLength(3);
      for (const child of children) child.process.stdin?.end();
      for (const child of children) await child.ended();
      expect(readdirSync(join(directory, 'staging'))).toEqual([]);
      await expectChain(await openStore(directory), 't', 3);
    }
  });

  test('that capture into one timeline take turns, without holes in the sequence', async () => {
    const directory = newPath();
    const count = 25;
    const task = { directory, timeline: 't', count };
    const children = [0, 100].map((first) => startChild({ ...task, first, work: workPlace() }));
    for (const child of children) await child.ended();
    const store = await openStore(directory);
    await expectChain(store, 't', 2 * count);
    const captured = acknowledged(children);
    expect(captured.size).toBe(2 * count);
    for (const [seed, id] of captured) {
      await expectRestores(store.snapshot(id), makeDump(newPath(), seed));
    }
  });

  test('that capture into two timelines share pages and do not wait for each other', async () => {
    const directory = newPath();
    const children = ['a', 'b'].map((timeline) =>
      startChild({ directory, timeline, first: 0, count: 10, work: workPlace() }),
    );
    for (const child of children) await child.ended();
    const store = await openStore(directory);
    for (const timeline of ['a', 'b']) {
      const list = store.timeline(timeline).list();
      expect(list).toHaveLength(10);
      for (const [seed, snapshot] of list.entries()) {
        await expectRestores(snapshot, makeDump(newPath(), seed));
      }
    }
    expect((await store.verify()).problems).toEqual([]);
  });
});

describe('a timeline that is being captured into', () => {
  test('makes another capture wait, and give up after the time that was set', async () => {
    const directory = newPath();
    const store = await openStore(directory);
    const impatient = await openStore(directory, { lockTimeoutMs: 30 });
    const second = { images: makeDump(newPath(), 2) };
    let refused: Promise<unknown> | undefined;
    let held = true;
    const first = store.timeline('t').capture(
      { images: makeDump(newPath(), 1, 4000) },
      {
        onProgress: () => {
          // Holds the thread now and then, so that the capture takes longer than the other waits.
          refused ??= expectFailure(() => impatient.timeline('t').capture(second), {
            code: 'LOCKED',
            message: /'t' for 0\.03 s/,
          }).finally(() => (held = false));
          if (held) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        },
      },
    );
    await first;
    await refused;
    await impatient.timeline('t').capture(second);
    await expectChain(store, 't', 2);
  });

  test('does not hold up other timelines', async () => {
    const store = await openStore(newPath(), { lockTimeoutMs: 0 });
    const captures = ['a', 'b', 'c'].map((name, seed) =>
      store.timeline(name).capture({ images: makeDump(newPath(), seed, 1000) }),
    );
    expect((await Promise.all(captures)).map(({ sequence }) => sequence)).toEqual([1, 1, 1]);
  });

  test('queues captures of one handle', async () => {
    const store = await openStore(newPath());
    const captures = [1, 2, 3, 4, 5].map((seed) =>
      store.timeline('t').capture({ images: makeDump(newPath(), seed) }),
    );
    await Promise.all(captures);
    await expectChain(store, 't', 5);
  });
});

describe('the staging of a process', () => {
  test('is cleared by the next one once it is dead, and not as long as it lives', async () => {
    const directory = newPath();
    const task = { directory, timeline: 't', count: 0, first: 0, stay: true };
    const [dead, living] = [0, 1].map(() => startChild({ ...task, work: workPlace() }));
    await dead?.said('done');
    await living?.said('done');
    const staging = join(directory, 'staging');
    expect(readdirSync(staging)).toHaveLength(2);
    await dead?.kill();
    expect(readdirSync(staging)).toHaveLength(2);

    const store = await openUnmanaged(directory);
    expect(readdirSync(staging)).toHaveLength(2);
    const leases = readdirSync(join(directory, 'leases')).filter((name) => name.endsWith('.lease'));
    expect(leases.map((name) => name.slice(0, -6)).sort()).toEqual(readdirSync(staging).sort());
    expect(readCatalog(directory, (db) => db.prepare('SELECT * FROM leases').all())).toHaveLength(
      2,
    );
    await store.close();
    expect(readdirSync(staging)).toHaveLength(1);

    living?.process.stdin?.end();
    await living?.ended();
    expect(readdirSync(staging)).toEqual([]);
    expect(existsSync(join(directory, 'format.json'))).toBe(true);
  });
});
