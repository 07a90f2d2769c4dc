/** Two threads see what one sees, and one goes on alone when the other is late, or gone. */
import { mkdirSync, openSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { Files, NodeFacts } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import {
  endLookout,
  Lookout,
  LOOKOUT_NAMES,
  NAMES_OF_PART,
  newLookout,
  serveLookout,
  type LookoutMemory,
} from '../../src/upper/lookout.ts';
import { walkTree } from '../../src/upper/walk.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const THREAD = new URL('../support/lookout-thread.ts', import.meta.url);

async function startHelper(): Promise<LookoutMemory> {
  const memory = newLookout();
  const worker = new Worker(THREAD, { workerData: memory });
  onTestFinished(async () => {
    endLookout(memory);
    await worker.terminate();
  });
  await once(worker, 'message');
  return memory;
}

function makeNames(count: number): { root: string; fd: number; names: string[] } {
  const root = newPath();
  mkdirSync(root);
  const names = Array.from({ length: count }, (_, i) => `name-${i}-\u00fc`).sort();
  for (const [i, name] of names.entries()) {
    const path = Buffer.from(`${root}/${name}`, 'latin1');
    writeFileSync(path, '');
    truncateSync(path, i);
  }
  return { root, fd: openSync(root, 'r'), names };
}

/** All facts from one name on, as they become ready. */
function lookAt(
  lookout: Lookout,
  names: readonly string[],
  fd: number,
  first = 0,
): (NodeFacts | undefined)[] {
  let asked = lookout.look(names, first, fd);
  let ready = first;
  return names.slice(first).map((_, number) => {
    const at = first + number;
    if (at >= ready) {
      asked = lookout.lookFurther(names, at, asked);
      ready = first + lookout.ready(number);
    }
    // Not by expect, which takes a second for so many.
    if (ready <= at || asked < ready) throw new Error(`${at} of ${ready} ready, ${asked} asked`);
    return lookout.answers.facts(lookout.placeOf(number));
  });
}

/** Looks again and again until another thread has done a part of it. */
function lookUntilHelped(lookout: Lookout, names: readonly string[], fd: number, alone: unknown) {
  const before = lookedAtHere;
  for (let i = 1; i <= 10_000; i++) {
    expect(lookAt(lookout, names, fd)).toEqual(alone);
    if (lookedAtHere - before < i * names.length) return;
  }
  throw new Error('nobody has helped');
}

/** How many names this thread has looked at through `counting`. */
let lookedAtHere = 0;
const counting: Files = {
  ...nodeFiles,
  inspectNames: (lookups, first, end, fd) => {
    lookedAtHere += end - first;
    nodeFiles.inspectNames(lookups, first, end, fd);
  },
};

it('gives the facts that one thread alone gives, in their order', async () => {
  const { fd, names } = makeNames(1000);
  const alone = lookAt(new Lookout(nodeFiles, undefined), names, fd);
  expect(alone).not.toContain(undefined);
  expect(alone.map((facts) => facts?.sizeBytes)).toEqual(names.map((_, i) => i));
  const lookout = new Lookout(counting, await startHelper());
  lookUntilHelped(lookout, names, fd, alone);
  for (let i = 0; i < 50; i++) expect(lookAt(lookout, names, fd)).toEqual(alone);
});

it('has room for more names as the walk goes on, from any of them', async () => {
  const { fd, names } = makeNames(2 * LOOKOUT_NAMES + 1000);
  const sizes = names.map((_, i) => i);
  const memory = await startHelper();
  for (const lookout of [new Lookout(nodeFiles, undefined), new Lookout(nodeFiles, memory)]) {
    for (const first of [0, 1, 777, LOOKOUT_NAMES, names.length - 1]) {
      const facts = lookAt(lookout, names, fd, first);
      expect(facts.map((each) => each?.sizeBytes)).toEqual(sizes.slice(first));
    }
  }
});

it('takes no place of a name that the walk has not left behind', () => {
  const { fd, names } = makeNames(LOOKOUT_NAMES + 2000);
  const lookout = new Lookout(nodeFiles, undefined);
  const asked = lookout.look(names, 0, fd);
  expect(asked).toBe(LOOKOUT_NAMES);
  expect(lookout.lookFurther(names, 511, asked)).toBe(asked);
  expect(lookout.lookFurther(names, 600, asked)).toBe(asked + 576);
  expect(lookout.lookFurther(names, 600, asked + 576)).toBe(asked + 576);
  expect(lookout.lookFurther(names, 4000, asked + 576)).toBe(names.length);
  expect(lookout.lookFurther(names, 4000, names.length)).toBe(names.length);
});

it('looks at all names itself as long as nobody is there', () => {
  const { fd, names } = makeNames(300);
  const before = lookedAtHere;
  expect(lookAt(new Lookout(counting, newLookout()), names, fd)).not.toContain(undefined);
  expect(lookedAtHere - before).toBe(300);
});

it('tells which names could not be looked at, by whichever thread', async () => {
  const { root, fd, names } = makeNames(300);
  unlinkSync(Buffer.from(join(root, names[70] ?? ''), 'latin1'));
  const alone = lookAt(new Lookout(nodeFiles, undefined), names, fd);
  expect(alone.flatMap((facts, i) => (facts === undefined ? [i] : []))).toEqual([70]);
  lookUntilHelped(new Lookout(counting, await startHelper()), names, fd, alone);
});

it('has no answers where the system refuses them all', () => {
  const { fd, names } = makeNames(100);
  const refusing: Files = {
    ...nodeFiles,
    inspectNames: () => {
      throw new Error('refused');
    },
  };
  const lookout = new Lookout(refusing, undefined);
  expect(lookAt(lookout, names, fd)).toEqual(names.map(() => undefined));
});

it('has what is ready, and no more, after it has been stopped', async () => {
  const { fd, names } = makeNames(1000);
  const lookout = new Lookout(counting, await startHelper());
  for (let i = 0; i < 20; i++) {
    lookout.look(names, 0, fd);
    const ready = lookout.ready(0);
    lookout.stop();
    const before = Array.from({ length: ready }, (_, at) => lookout.answers.facts(at));
    expect(before).not.toContain(undefined);
    expect(before.map((facts) => facts?.sizeBytes)).toEqual(before.map((_, at) => at));
  }
});

it('goes on alone once the other thread has been sent away', async () => {
  const { fd, names } = makeNames(300);
  const memory = await startHelper();
  const lookout = new Lookout(counting, memory);
  lookout.close();
  const before = lookedAtHere;
  expect(lookAt(lookout, names, fd)).not.toContain(undefined);
  expect(lookedAtHere - before).toBe(300);
});

it('leaves memory alone that an earlier walk has ended with, whose helper may still write', () => {
  const { fd, names } = makeNames(300);
  const memory = newLookout();
  new Lookout(nodeFiles, memory).close();
  const before = lookedAtHere;
  const lookout = new Lookout(counting, memory);
  expect(lookAt(lookout, names, fd)).not.toContain(undefined);
  expect(lookedAtHere - before).toBe(300);
  lookout.close();
  expect([...memory.control]).toEqual([-1, ...Array.from(memory.control.subarray(1), () => 0)]);
  expect(memory.lookups.answers.every((byte) => byte === 0)).toBe(true);
});

it('leaves the memory to another thread that died over a part, and looks by itself', () => {
  vi.spyOn(Atomics, 'wait').mockImplementation(() => 'timed-out');
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const { fd, names } = makeNames(300);
  const memory = newLookout();
  const lookout = new Lookout(nodeFiles, memory);
  lookout.look(names, 0, fd);
  // What a helper does before it dies.
  Atomics.store(memory.control, 1, 1);
  Atomics.add(memory.control, 2, NAMES_OF_PART);
  expect(lookout.ready(0)).toBe(300);
  expect(names.map((_, i) => lookout.answers.facts(i))).toEqual(names.map(() => undefined));
  expect(Atomics.load(memory.control, 0)).toBe(-1);
  expect(lookAt(lookout, names, fd)).not.toContain(undefined);
});

it('goes on alone with the names behind those that a dead thread has taken', () => {
  vi.spyOn(Atomics, 'wait').mockImplementation(() => 'timed-out');
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const { fd, names } = makeNames(LOOKOUT_NAMES + 2000);
  const memory = newLookout();
  const lookout = new Lookout(nodeFiles, memory);
  const asked = lookout.look(names, 0, fd);
  // All are ready but the second part, which somebody has taken.
  expect(lookout.ready(0)).toBe(NAMES_OF_PART);
  Atomics.add(memory.control, 2, NAMES_OF_PART);
  expect(lookout.ready(NAMES_OF_PART)).toBe(LOOKOUT_NAMES);
  const next = lookout.lookFurther(names, 1000, asked);
  expect(next).toBeGreaterThan(asked);
  expect(lookout.ready(asked)).toBeGreaterThan(asked);
  const facts = lookout.answers.facts(lookout.placeOf(asked));
  expect(facts?.sizeBytes).toBe(asked);
});

it('does not wait for ever for another thread that does not leave the memory', () => {
  vi.spyOn(Atomics, 'wait').mockImplementation(() => 'timed-out');
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const { fd, names } = makeNames(300);
  const memory = newLookout();
  const lookout = new Lookout(nodeFiles, memory);
  lookout.look(names, 0, fd);
  Atomics.store(memory.control, 1, 1);
  expect(lookAt(lookout, names, fd)).not.toContain(undefined);
  expect(Atomics.load(memory.control, 0)).toBe(-1);
});

it('ends at once where the walk has ended before it began', () => {
  const memory = newLookout();
  endLookout(memory);
  serveLookout(nodeFiles, memory);
  expect(Atomics.load(memory.control, 0)).toBe(-1);
});

it('helps a walk to the same nodes', async () => {
  const { root } = makeNames(9000);
  for (let i = 0; i < 50; i++) {
    mkdirSync(join(root, `name-${i}-directory`));
    writeFileSync(join(root, `name-${i}-directory`, 'file'), '');
  }
  const nodes = (files: Files, lookout?: LookoutMemory) =>
    [...walkTree(files, root, { lookout })].map(({ path, facts }) => ({ path, facts }));
  const countOf = (walk: () => unknown, expected: unknown): number => {
    const before = lookedAtHere;
    expect(walk()).toEqual(expected);
    return lookedAtHere - before;
  };
  const alone = nodes(nodeFiles);
  expect(alone).toHaveLength(9101);
  const mostly = countOf(() => nodes(counting), alone);
  for (let i = 0; i < 100; i++) {
    const memory = await startHelper();
    if (countOf(() => nodes(counting, memory), alone) < mostly) return;
  }
  throw new Error('nobody has helped');
});
