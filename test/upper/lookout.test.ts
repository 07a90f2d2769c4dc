/** Two threads see what one sees, and one goes on alone when the other is late, or gone. */
import { mkdirSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import {
  endLookout,
  Lookout,
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
  while (Atomics.load(memory.control, 0) === 0) await new Promise((done) => setTimeout(done, 5));
  return memory;
}

function makeNames(count: number): { root: string; fd: number; names: string[] } {
  const root = newPath();
  mkdirSync(root);
  const names = Array.from({ length: count }, (_, i) => `name-${i}-\u00fc`).sort();
  for (const [i, name] of names.entries()) {
    writeFileSync(Buffer.from(`${root}/${name}`, 'latin1'), 'x'.repeat(i));
  }
  return { root, fd: openSync(root, 'r'), names };
}

function lookAt(lookout: Lookout, names: readonly string[], fd: number): unknown[] {
  const answers = lookout.look(names, 0, names.length, fd);
  return names.map((_, i) => answers.facts(i));
}

it('gives the facts that one thread alone gives, in their order', async () => {
  const { fd, names } = makeNames(300);
  const memory = await startHelper();
  const lookout = new Lookout(nodeFiles, memory);
  const alone = lookAt(new Lookout(nodeFiles, undefined), names, fd);
  expect(alone).not.toContain(undefined);
  for (let i = 0; i < 20; i++) expect(lookAt(lookout, names, fd)).toEqual(alone);
  expect([...memory.control.subarray(2)]).toEqual([150, 300]);
});

it('looks at all names itself as long as nobody is there', () => {
  const { fd, names } = makeNames(100);
  const memory = newLookout();
  expect(lookAt(new Lookout(nodeFiles, memory), names, fd)).not.toContain(undefined);
  expect(memory.control[3]).toBe(0);
});

it('tells which names the other thread could not look at', async () => {
  const { root, fd, names } = makeNames(100);
  const memory = await startHelper();
  unlinkSync(Buffer.from(join(root, names[70] ?? ''), 'latin1'));
  const facts = lookAt(new Lookout(nodeFiles, memory), names, fd);
  expect(facts.map((one, i) => (one === undefined ? i : -1)).filter((i) => i >= 0)).toEqual([70]);
});

it('goes on alone once the other thread has been sent away', async () => {
  const { fd, names } = makeNames(100);
  const memory = await startHelper();
  const lookout = new Lookout(nodeFiles, memory);
  lookout.close();
  expect(lookAt(lookout, names, fd)).not.toContain(undefined);
  expect(memory.control[3]).toBe(0);
});

it('ends at once where the walk has ended before it began', () => {
  const memory = newLookout();
  endLookout(memory);
  serveLookout(nodeFiles, memory);
  expect(Atomics.load(memory.control, 0)).toBe(4);
});

it('helps a walk to the same nodes', async () => {
  const { root } = makeNames(2500);
  const memory = await startHelper();
  const nodes = (lookout?: LookoutMemory) =>
    [...walkTree(nodeFiles, root, { lookout })].map(({ path, facts }) => ({ path, facts }));
  expect(nodes(memory)).toEqual(nodes());
  expect(memory.control[3]).toBeGreaterThan(0);
});
