/**
 * Plans trees of a model, snapshot after snapshot, and stores them as a store would: pages by their
 * addresses, inherited ones from the snapshot before, read ones through the columns of contents.
 * What must hold of every plan is checked on the way.
 */
import { expect } from 'vitest';
import type { TreeContents } from '../../src/tree/contents.ts';
import { pathOf } from '../../src/tree/contents-of.ts';
import type { TreeEntry } from '../../src/tree/body.ts';
import { comparePaths, type TreeNode } from '../../src/tree/entry.ts';
import { FactWords, sealFacts, StoredFacts } from '../../src/tree/path-facts.ts';
import {
  planTree,
  type PassOver,
  type PlanBase,
  type PlanStep,
  type TreePlan,
} from '../../src/tree/plan.ts';
import { StoredTree, type SpaceRuns } from '../../src/tree/tree.ts';
import { bytesOf, MADE_FILE, plainNode, runsOf, textOf } from './made-nodes.ts';
import type { ModelInode, TreeModel } from './tree-model.ts';

/** What the next capture has of the facts: those kept, none, or those of another snapshot. */
export type FactsKept = 'kept' | 'none' | 'foreign';

/** A snapshot as it was stored. */
export interface PlannedSnapshot {
  readonly plan: TreePlan;
  /** What it was made of, by paths, as it was then. */
  readonly inodes: ReadonlyMap<string, ModelInode>;
  readonly settled: ReadonlySet<string>;
  /** Contents of pages by addresses. */
  readonly pages: ReadonlyMap<number, number>;
  readonly entries: ReadonlyMap<string, TreeEntry>;
}

/** The node that a walk would make of a path. */
function nodeAt(path: string, inode: ModelInode, firstName: string): TreeNode {
  if (inode.kind === 'directory') return plainNode(path, { kind: 'directory', mode: 0o755 });
  if (inode.kind === 'link')
    return plainNode(path, { kind: 'link', target: bytesOf(inode.target) });
  if (firstName !== path) return plainNode(path, { kind: 'hard', target: bytesOf(firstName) });
  const { pages, lastBytes } = inode;
  const sizeBytes = pages.length === 0 ? 0 : (pages.length - 1) * 4096 + lastBytes;
  const modifiedNanoseconds = Number(inode.changed);
  if (!pages.includes(0)) return plainNode(path, { sizeBytes, modifiedNanoseconds });
  const pairs: [number, number][] = [];
  for (const [i, page] of pages.entries()) {
    const last = pairs.at(-1);
    if (page === 0) continue;
    if (last !== undefined && last[0] + last[1] === i) last[1] += 1;
    else pairs.push([i, 1]);
  }
  return plainNode(path, { sizeBytes, modifiedNanoseconds, dataRuns: runsOf(...pairs) });
}

/** All addresses of runs, in their order. */
export function addressesOf(start: Float64Array, length: Float64Array): number[] {
  return [...start].flatMap((first, i) =>
    Array.from({ length: length[i] as number }, (_, page) => first + page),
  );
}

function checkRuns({ runStart, runLength }: SpaceRuns): void {
  for (let i = 0; i < runStart.length; i++) {
    expect(runLength[i]).toBeGreaterThan(0);
    const end = i === 0 ? -1 : (runStart[i - 1] as number) + (runLength[i - 1] as number);
    expect(runStart[i]).toBeGreaterThan(end);
  }
}

const ID = new Uint8Array(16).fill(7);

function baseOf({ plan }: PlannedSnapshot, kept: FactsKept): PlanBase {
  const tree = new StoredTree(plan.tree.bytes, plan.tree.runs, MADE_FILE);
  const bytes = plan.facts.slice();
  sealFacts(bytes, kept === 'foreign' ? new Uint8Array(16).fill(8) : ID);
  const facts = kept === 'none' ? undefined : StoredFacts.open(bytes, ID);
  expect(facts === undefined).toBe(kept !== 'kept');
  return { tree, treeRuns: plan.tree.runs, fileRuns: plan.runs, facts };
}

/** Plans what the model is now, checks the plan and stores it. */
export function planModel(
  model: TreeModel,
  before: PlannedSnapshot | undefined,
  kept: FactsKept,
  isSettled: (path: string) => boolean,
): PlannedSnapshot {
  const sorted = model.sorted();
  const inodes = new Map(sorted.map(([path, inode]) => [path, { ...inode }]));
  const settled = new Set([...inodes.keys()].filter(isSettled));
  const names = new Map<ModelInode, string[]>();
  for (const [path, inode] of sorted) names.set(inode, [...(names.get(inode) ?? []), path]);
  const isSame = (path: string): boolean => {
    const [now, then] = [inodes.get(path), before?.inodes.get(path)];
    if (kept !== 'kept' || before?.settled.has(path) !== true || then === undefined) return false;
    return now?.number === then.number && now.changed === then.changed;
  };
  const nodes = new Map(
    sorted.map(([path, inode]) => [path, nodeAt(path, inode, names.get(inode)?.[0] ?? path)]),
  );
  const hasOtherNames = (path: string): boolean => {
    const inode = model.paths.get(path) as ModelInode;
    return inode.kind === 'file' && (names.get(inode)?.length ?? 0) > 1;
  };
  const asked: string[] = [];
  const steps = sorted.map(([path, inode]): PlanStep => {
    const facts = { device: 1n, inode: inode.number, changedNs: inode.changed };
    const read = (): TreeNode => {
      asked.push(path);
      return nodes.get(path) as TreeNode;
    };
    const content = () => ({
      path: bytesOf(path),
      offsetBytes: 0,
      facts: { sizeBytes: 0, inode: inode.number, modifiedNs: 0n, changedNs: inode.changed },
    });
    const isOneOfMany = hasOtherNames(path);
    const compare = (other: Uint8Array) => comparePaths(other, bytesOf(path));
    const common = { path: bytesOf(path), compare, isSettled: settled.has(path), read, content };
    return { ...common, facts, hasOtherNames: isOneOfMany };
  });
  const base = before === undefined ? undefined : baseOf(before, kept);
  const plan = planTree(steps, base);
  checkPassingOver(plan, steps, base, asked);
  expect(asked).toEqual([...inodes.keys()].filter((path) => !isSame(path) || hasOtherNames(path)));
  expect(plan.pathCount).toBe(sorted.length);
  const wasFile = (path: string): boolean => before?.entries.get(path)?.kind === 'file';
  const toRead = [...nodes].filter(([path, { kind }]) => {
    if (kind !== 'file' || (isSame(path) && wasFile(path))) return false;
    return inodes.get(path)?.pages.some((page) => page !== 0) === true;
  });
  expect(plan.readCount).toBe(toRead.length);
  const pages = storePages(plan, inodes, before);
  const entries = checkTree(plan, nodes, inodes, pages);
  checkAddresses(entries, before, isSame);
  return { plan, inodes, settled, pages, entries };
}

/** Plans the same steps again, as a walk does that passes over what it can: nothing may differ. */
function checkPassingOver(
  plan: TreePlan,
  steps: readonly PlanStep[],
  base: PlanBase | undefined,
  asked: readonly string[],
): void {
  const once = [...asked];
  const again = planTree((passOver) => stepsLeft(steps, passOver), base);
  expect(asked).toEqual([...once, ...once]);
  (asked as string[]).length = once.length;
  expect(again).toEqual(plan);
}

/** The steps that are not passed over, one directory's neighbours after the other's. */
function* stepsLeft(steps: readonly PlanStep[], passOver: PassOver): Generator<PlanStep> {
  const words = new FactWords();
  for (let at = 0; at < steps.length; at++) {
    const directory = directoryOf(steps[at] as PlanStep);
    let end = at;
    while (end < steps.length && directoryOf(steps[end] as PlanStep) === directory) end += 1;
    const names = steps.slice(at, end).map(({ path }) => textOf(path).slice(directory.length));
    const facts = (name: number): FactWords | undefined => {
      const { hasOtherNames, isSettled, facts: known } = steps[at + name] as PlanStep;
      if (hasOtherNames || !isSettled || known === undefined) return undefined;
      words.setDevice(Number(known.device), 0);
      words.setInode(Number(known.inode & 0xffffffffn), Number(known.inode >> 32n));
      // Times of a model are small.
      words.setChanged(0, Number(known.changedNs));
      return words;
    };
    const passed = passOver({ directory, names, first: 0, end: end - at, facts });
    expect(passed).toBeLessThanOrEqual(end - at);
    at += passed;
    if (passed === names.length) at -= 1;
    else yield steps[at] as PlanStep;
  }
}

/** With '/' at its end; nothing for what is in no directory. */
function directoryOf({ path }: PlanStep): string {
  const text = textOf(path);
  return text.slice(0, text.lastIndexOf('/') + 1);
}

/** What a store makes of a plan; inherited and read pages are all pages, and each once. */
function storePages(
  { runs, inherited, contents, pageCount, readCount }: TreePlan,
  inodes: ReadonlyMap<string, ModelInode>,
  before: PlannedSnapshot | undefined,
): Map<number, number> {
  checkRuns(runs);
  const addresses = addressesOf(runs.runStart, runs.runLength);
  expect(pageCount).toBe(addresses.length);
  const stored = new Map<number, number>();
  const put = (page: number, content: number | undefined): void => {
    const address = addresses[page];
    // Not `expect`, which is slow for each page.
    if (content === undefined || content === 0) throw new Error(`nothing for page ${page}`);
    if (address === undefined || stored.has(address)) throw new Error(`page ${page} twice`);
    stored.set(address, content);
  };
  for (const page of addressesOf(inherited.start, inherited.length)) {
    put(page, before?.pages.get(addresses[page] as number));
  }
  const columns = contents as TreeContents;
  let end = 0;
  for (const [i, first] of columns.page.entries()) {
    expect(first).toBeGreaterThanOrEqual(end);
    end = first + (columns.pages[i] as number);
    const inode = inodes.get(textOf(pathOf(columns, columns.file[i] as number)));
    const offset = (columns.offsetBytes[i] as number) / 4096;
    for (let page = first; page < end; page++) put(page, inode?.pages[offset + page - first]);
  }
  expect(new Set(columns.file).size).toBe(readCount);
  expect(stored.size).toBe(pageCount);
  return stored;
}

/** The tree says what the model says, and leads to the very pages of it. */
function checkTree(
  plan: TreePlan,
  nodes: ReadonlyMap<string, TreeNode>,
  inodes: ReadonlyMap<string, ModelInode>,
  pages: ReadonlyMap<number, number>,
): Map<string, TreeEntry> {
  checkRuns(plan.tree.runs);
  const cursor = new StoredTree(plan.tree.bytes, plan.tree.runs, MADE_FILE).cursor();
  const entries = new Map<string, TreeEntry>();
  while (cursor.next()) entries.set(textOf(cursor.path), { path: cursor.path, ...cursor.body });
  expect([...entries.keys()]).toEqual([...nodes.keys()]);
  const used = new Set<number>();
  for (const [path, { extents, ...node }] of entries) {
    expect(node).toEqual(nodes.get(path));
    const addresses = addressesOf(extents.start, extents.length);
    for (const address of addresses) used.add(address);
    const found = addresses.map((address) => pages.get(address));
    const wanted = node.kind === 'file' ? (inodes.get(path)?.pages ?? []) : [];
    expect(found.join()).toBe(wanted.filter((page) => page !== 0).join());
  }
  // No page is of two files, and none of no file.
  expect(used.size).toBe(plan.pageCount);
  const sum = [...entries.values()].flatMap(({ extents }) => [...extents.length]);
  expect(sum.reduce((all, length) => all + length, 0)).toBe(plan.pageCount);
  return entries;
}

/** A file keeps the addresses that it had, as far as it has pages. */
function checkAddresses(
  entries: ReadonlyMap<string, TreeEntry>,
  before: PlannedSnapshot | undefined,
  isSame: (path: string) => boolean,
): void {
  for (const [path, { kind, extents }] of entries) {
    const old = before?.entries.get(path);
    if (kind !== 'file' || old?.kind !== 'file') continue;
    const [now, then] = [extents, old.extents].map((e) => addressesOf(e.start, e.length));
    const common = Math.min(now?.length ?? 0, then?.length ?? 0);
    // As texts: comparing arrays of 700 numbers takes most of the time.
    expect(now?.slice(0, common).join()).toBe(then?.slice(0, common).join());
    if (isSame(path)) expect(extents).toEqual(old.extents);
  }
}
