/**
 * A second walk that passes over what has not changed, alone or with another thread, plans the very
 * tree of one that reads everything, whatever happened to the files in between.
 */
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { WalkStep } from '../../src/slices/walk-step.ts';
import { pathOf } from '../../src/tree/contents-of.ts';
import type { TreeContents } from '../../src/tree/contents.ts';
import { sealFacts, StoredFacts } from '../../src/tree/path-facts.ts';
import {
  planTree,
  type PassOver,
  type PlanBase,
  type PlanStep,
  type TreePlan,
} from '../../src/tree/plan.ts';
import { StoredTree } from '../../src/tree/tree.ts';
import { newLookout, type LookoutMemory } from '../../src/upper/lookout.ts';
import { walkTree } from '../../src/upper/walk.ts';
import { isRoot, nextStamp } from '../support/captured-files.ts';
import { MADE_FILE } from '../support/made-nodes.ts';
import { addressesOf } from '../support/planned-trees.ts';
import { memoryPaths } from '../support/temporary.ts';

const newPath = memoryPaths();
const CASES = Number(process.env['CRIU_TIMELINE_CASES'] ?? 4);
const THREAD = new URL('../support/lookout-thread.ts', import.meta.url);
const ID = new Uint8Array(16).fill(7);
/** Everything has settled by then. */
const MUCH_LATER_NS = 2n ** 62n;

/** What is left out, and what is always read. */
interface Lists {
  readonly hostFiles: readonly string[];
  readonly mappedFiles: readonly string[];
}

interface Walking extends Lists {
  readonly passes: boolean;
  readonly lookout?: LookoutMemory;
}

function baseOf({ tree, runs, facts }: TreePlan, isTrusting: boolean): PlanBase {
  const bytes = facts.slice();
  sealFacts(bytes, ID);
  const known = isTrusting ? StoredFacts.open(bytes, ID) : undefined;
  const stored = new StoredTree(tree.bytes, tree.runs, MADE_FILE);
  return { tree: stored, treeRuns: tree.runs, fileRuns: runs, facts: known };
}

function plan(root: string, base: PlanBase | undefined, walking: Walking): TreePlan {
  const { passes, lookout, ...lists } = walking;
  const origin = { kind: 'directory', root, prefix: 'files', ...lists } as const;
  const how = { settledBeforeNs: MUCH_LATER_NS, mayVanish: false };
  const step = new WalkStep(nodeFiles, origin, how);
  function* steps(passOver: PassOver): Generator<PlanStep> {
    const options = passes
      ? {
          lookout,
          passOver: (run: Parameters<typeof step.passOver>[0]) => step.passOver(run, passOver),
        }
      : { lookout };
    for (const walked of walkTree(nodeFiles, root, options)) {
      step.goTo(walked);
      yield step;
    }
  }
  return planTree(steps, base);
}

/** A tree of several blocks, with directories in the middle of long runs of names. */
function makeTree(): string {
  const root = newPath();
  mkdirSync(root);
  for (let i = 0; i < 1500; i++) {
    const path = join(root, nameOf(i));
    if (i % 100 === 50) {
      mkdirSync(path);
      for (let j = 0; j < 5; j++) writeFileSync(join(path, nameOf(j)), `${i} ${j}`);
    } else if (i % 97 === 0) symlinkSync(`to ${i}`, path);
    else writeFileSync(path, 'x'.repeat(i % 7));
  }
  linkSync(join(root, nameOf(3)), join(root, nameOf(1499, '-more')));
  return root;
}

const nameOf = (i: number, more = ''): string => `name-${1000 + i}${more}`;

const KINDS = [
  'write',
  'same size',
  'cut',
  'remove',
  'add',
  'rename',
  'exchange',
  'mode',
  'owner',
  'time',
  'attribute',
  'link',
  'symlink',
  'directory',
  'file',
  'whiteout',
  'fifo',
  'inside',
] as const;

const change = fc.record({ kind: fc.constantFrom(...KINDS), at: fc.nat(1499) });
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function typeOf(path: string): 'none' | 'directory' | 'file' | 'other' {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return 'none';
  if (facts.isDirectory()) return 'directory';
  return facts.isFile() ? 'file' : 'other';
}

function replace(path: string, make: () => void): void {
  rmSync(path, { recursive: true, force: true });
  make();
}

function apply(root: string, { kind, at }: Change): void {
  const path = join(root, nameOf(at));
  const other = join(root, nameOf(at, '-other'));
  const type = typeOf(path);
  if (kind === 'add') replace(other, () => writeFileSync(other, 'new'));
  else if (kind === 'directory')
    replace(path, () => mkdirSync(join(path, 'of'), { recursive: true }));
  else if (kind === 'file') replace(path, () => writeFileSync(path, 'file'));
  else if (kind === 'symlink') replace(path, () => symlinkSync(String(at), path));
  else if (kind === 'fifo') replace(path, () => nodeFiles.makeNode(path, 'fifo', 0o644, 0, 0));
  else if (kind === 'whiteout') replace(path, () => nodeFiles.makeNode(path, 'character', 0, 0, 0));
  else if (type === 'none') return;
  else if (kind === 'remove') rmSync(path, { recursive: true });
  else if (kind === 'rename') replace(other, () => renameSync(path, other));
  else if (kind === 'inside' && type === 'directory') writeFileSync(join(path, 'inside'), 'new');
  else if (kind === 'exchange') exchange(path, join(root, nameOf((at + 1) % 1500)));
  else if (type === 'file') changeFile(path, other, kind);
}

function exchange(path: string, other: string): void {
  if (typeOf(other) === 'none') return;
  renameSync(path, `${path}-between`);
  renameSync(other, path);
  renameSync(`${path}-between`, other);
}

function changeFile(path: string, other: string, kind: Change['kind']): void {
  const { size, atime, mtime, mode, uid } = lstatSync(path);
  if (kind === 'write') writeFileSync(path, 'written');
  else if (kind === 'same size') {
    writeFileSync(path, 'y'.repeat(size));
    utimesSync(path, atime, mtime);
  } else if (kind === 'cut') truncateSync(path, size >> 1);
  else if (kind === 'mode') chmodSync(path, (mode ^ 0o111) & 0o777);
  else if (kind === 'owner') chownSync(path, uid + 1, 5);
  else if (kind === 'time') utimesSync(path, 5, 6);
  else if (kind === 'link') replace(other, () => linkSync(path, other));
  else if (kind === 'attribute') {
    const name = Buffer.from('trusted.x');
    nodeFiles.setXattr(path, name, Buffer.from(`${size}`));
  }
}

/** What each path is that files of a tree are told by. */
function factsOf(root: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const { ino, ctimeNs, size, nlink, dev } = lstatSync(join(root, name), { bigint: true });
    if (typeOf(join(root, name)) !== 'file' || size === 0n || nlink > 1n) continue;
    found.set(name, `${dev} ${ino} ${ctimeNs}`);
  }
  return found;
}

function readPaths({ contents, readCount }: TreePlan): string[] {
  const path = (i: number) => Buffer.from(pathOf(contents as TreeContents, i)).toString();
  return Array.from({ length: readCount }, (_, i) => path(i));
}

/** Pages of the tree by their addresses; of those that are said to be the base's, or of all. */
function treePages({ tree }: TreePlan, of?: TreePlan['treeInherited']): Map<number, string> {
  const addresses = addressesOf(tree.runs.runStart, tree.runs.runLength);
  const pages = of === undefined ? addresses.keys() : addressesOf(of.start, of.length);
  const page = (i: number) => hex(tree.bytes.subarray(i * 4096, i * 4096 + 4096));
  return new Map([...pages].map((i) => [addresses[i] as number, page(i)]));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function startHelper(): Promise<{ lookout: LookoutMemory; worker: Worker }> {
  const lookout = newLookout();
  const worker = new Worker(THREAD, { workerData: lookout });
  await once(worker, 'message');
  return { lookout, worker };
}

const lists = fc.record({
  hostFiles: fc.array(
    fc.nat(1499).map((i) => nameOf(i)),
    { maxLength: 3 },
  ),
  mappedFiles: fc.array(
    fc.nat(1499).map((i) => nameOf(i)),
    { maxLength: 3 },
  ),
});

async function live(changes: readonly Change[], before: Lists, now: Lists): Promise<void> {
  const root = makeTree();
  const first = plan(root, undefined, { ...before, passes: false });
  const then = factsOf(root);
  nextStamp();
  for (const one of changes) apply(root, one);
  const all = plan(root, baseOf(first, false), { ...now, passes: false });
  const { lookout, worker } = await startHelper();
  const changed = [...factsOf(root)].filter(([path, facts]) => {
    const isSpecial = [...before.hostFiles, ...before.mappedFiles, ...now.mappedFiles].includes(
      path,
    );
    return !now.hostFiles.includes(path) && (isSpecial || then.get(path) !== facts);
  });
  for (const walking of [{ passes: true }, { passes: true, lookout }, { passes: false }]) {
    const one = plan(root, baseOf(first, true), { ...now, ...walking });
    expect(hex(one.tree.bytes)).toBe(hex(all.tree.bytes));
    expect(one.tree.runs).toEqual(all.tree.runs);
    const kept = [...treePages(one, one.treeInherited)];
    const known = treePages(first);
    expect(kept.filter(([address, page]) => known.get(address) !== page)).toEqual([]);
    if (changes.length === 0 && now.hostFiles.length === 0) expect(kept.length).toBeGreaterThan(5);
    expect(one.runs).toEqual(all.runs);
    expect(hex(one.facts)).toBe(hex(all.facts));
    expect(one.pathCount).toBe(all.pathCount);
    expect(readPaths(one)).toEqual(expect.arrayContaining(changed.map(([path]) => path)));
    expect(readPaths(one).length).toBeLessThan(changed.length + 20);
  }
  await worker.terminate();
  rmSync(root, { recursive: true });
}

test.runIf(isRoot)(
  'a walk that passes over what is the same misses nothing',
  async () => {
    await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 40 }), lists, lists, live), {
      numRuns: CASES,
      endOnFailure: true,
    });
  },
  CASES * 20_000,
);
