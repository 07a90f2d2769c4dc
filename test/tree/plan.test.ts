/** Plans of trees: what is asked for, what is read, and what of the base stays as it is. */
import { describe, expect, it } from 'vitest';
import { BlockBuilder, type TreeBlock } from '../../src/tree/block.ts';
import type { TreeEntry } from '../../src/tree/body.ts';
import { comparePaths, type TreeNode } from '../../src/tree/entry.ts';
import { PathFactsBuilder, sealFacts, StoredFacts } from '../../src/tree/path-facts.ts';
import { placeBlocks } from '../../src/tree/place-blocks.ts';
import { planTree, type PlanBase, type PlanStep, type TreePlan } from '../../src/tree/plan.ts';
import { StoredTree, type SpaceRuns } from '../../src/tree/tree.ts';
import { bytesOf, MADE_FILE, plainNode, runsOf, textOf } from '../support/made-nodes.ts';

const ID = new Uint8Array(16).fill(1);

/** What is asked of a source, in order. */
type Asked = string[];

interface Made extends Partial<Omit<PlanStep, 'path' | 'read' | 'content'>> {
  readonly node?: Partial<TreeNode>;
  readonly offsetBytes?: number;
}

/** A step for a file of two pages, unless it is said to be something else. */
function stepOf(path: string, made: Made = {}, asked: Asked = []): PlanStep {
  const { node, offsetBytes = 0, ...different } = made;
  return {
    path: bytesOf(path),
    compare: (other) => comparePaths(other, bytesOf(path)),
    facts: { device: 1n, inode: BigInt(path.length + 1), changedNs: 5n },
    isSettled: true,
    hasOtherNames: false,
    read: () => {
      asked.push(`read ${path}`);
      return plainNode(path, { sizeBytes: 5000, ...node });
    },
    content: () => {
      asked.push(`content ${path}`);
      return { path: bytesOf(path), offsetBytes, facts: undefined };
    },
    ...different,
  };
}

function baseOf({ tree, runs, facts }: TreePlan): PlanBase {
  const sealed = facts.slice();
  sealFacts(sealed, ID);
  const stored = new StoredTree(tree.bytes, tree.runs, MADE_FILE);
  const known = StoredFacts.open(sealed, ID);
  return { tree: stored, treeRuns: tree.runs, fileRuns: runs, facts: known };
}

function entriesOf({ tree }: TreePlan): Record<string, TreeEntry> {
  const cursor = new StoredTree(tree.bytes, tree.runs, MADE_FILE).cursor();
  const entries: Record<string, TreeEntry> = {};
  while (cursor.next()) entries[textOf(cursor.path)] = { path: cursor.path, ...cursor.body };
  return entries;
}

/** Plans the same paths twice, and returns both with what the second one asked. */
function planTwice(
  first: readonly (readonly [string, Made?])[],
  second: readonly (readonly [string, Made?])[],
): { before: TreePlan; after: TreePlan; asked: Asked } {
  const asked: Asked = [];
  const before = planTree(
    first.map(([path, made]) => stepOf(path, made)),
    undefined,
  );
  const steps = second.map(([path, made]) => stepOf(path, made, asked));
  return { before, after: planTree(steps, baseOf(before)), asked };
}

const changed = (path: string): Made => ({
  facts: { device: 1n, inode: BigInt(path.length + 1), changedNs: 6n },
});

describe('a plan', () => {
  it('may be of nothing', () => {
    const plan = planTree([], undefined);
    expect(plan).toMatchObject({ pageCount: 0, pathCount: 0, readCount: 0 });
    expect(plan.tree.bytes.length).toBe(0);
    expect(planTree([], baseOf(plan))).toMatchObject({ pathCount: 0 });
    const one = planTree([stepOf('a')], baseOf(plan));
    expect(planTree([], baseOf(one))).toMatchObject({ pathCount: 0, pageCount: 0 });
  });

  it('asks for all of a first tree, and for contents of files that have some', () => {
    const asked: Asked = [];
    const plan = planTree(
      [
        stepOf('', { node: { kind: 'directory', sizeBytes: 0 } }, asked),
        stepOf('a', {}, asked),
        stepOf('b', { node: { sizeBytes: 0 } }, asked),
        stepOf('c', { node: { kind: 'link', sizeBytes: 0, target: bytesOf('a') } }, asked),
        stepOf('d', { node: { dataRuns: runsOf() } }, asked),
      ],
      undefined,
    );
    expect(asked).toEqual(['read ', 'read a', 'content a', 'read b', 'read c', 'read d']);
    expect(plan).toMatchObject({ pathCount: 5, readCount: 1, pageCount: 2 });
    expect(plan.inherited).toEqual(runsOf());
  });

  it('says where contents begin, and which of their pages are data', () => {
    const dataRuns = runsOf([1, 1], [5, 2]);
    const sparse = { offsetBytes: 512, node: { sizeBytes: 7 * 4096, dataRuns } };
    const { contents } = planTree([stepOf('a'), stepOf('b', sparse)], undefined);
    expect([...contents.page]).toEqual([0, 2, 3]);
    expect([...contents.pages]).toEqual([2, 1, 2]);
    expect([...contents.file]).toEqual([0, 1, 1]);
    expect([...contents.offsetBytes]).toEqual([0, 4096, 5 * 4096]);
    expect([...contents.fileOffset]).toEqual([0, 512]);
    expect([...contents.fileBytes]).toEqual([5000, 7 * 4096]);
  });

  it('refuses paths that do not ascend', () => {
    for (const paths of [
      ['b', 'a'],
      ['a', 'a'],
      ['a-', 'a/b'],
    ]) {
      expect(() =>
        planTree(
          paths.map((path) => stepOf(path)),
          undefined,
        ),
      ).toThrow(RangeError);
    }
  });
});

describe('a plan that continues', () => {
  it('asks nothing of paths that have not changed', () => {
    const { before, after, asked } = planTwice([['a'], ['b'], ['c']], [['a'], ['b'], ['c']]);
    expect(asked).toEqual([]);
    expect(after.tree).toEqual(before.tree);
    expect(after.runs).toEqual(before.runs);
    expect(after.inherited).toEqual(runsOf([0, 6]));
    expect(after.facts).toEqual(before.facts);
  });

  it('reads what has changed where it was, and what is new elsewhere', () => {
    const { after, asked } = planTwice(
      [['a'], ['bb'], ['c']],
      [['a'], ['bb', changed('bb')], ['bbb'], ['c']],
    );
    expect(asked).toEqual(['read bb', 'content bb', 'read bbb', 'content bbb']);
    expect(after.inherited).toEqual(runsOf([0, 2], [4, 2]));
    expect([...after.contents.page]).toEqual([2, 6]);
    expect(entriesOf(after)['bb']?.extents).toEqual(runsOf([2, 2]));
  });

  it('copies what is written of unchanged paths, without looking into it', () => {
    const builder = new BlockBuilder();
    const rubbish = Uint8Array.of(255, 1, 2, 3);
    builder.add(bytesOf('a'), rubbish);
    const { tree: placed } = placeBlocks([builder.finish() as TreeBlock], undefined);
    const facts = new PathFactsBuilder();
    facts.add(stepOf('a').facts);
    const bytes = facts.finish();
    sealFacts(bytes, ID);
    const base: PlanBase = {
      tree: new StoredTree(placed.bytes, placed.runs, MADE_FILE),
      treeRuns: placed.runs,
      fileRuns: { runStart: new Float64Array(0), runLength: new Float64Array(0) },
      facts: StoredFacts.open(bytes, ID),
    };
    expect(planTree([stepOf('a')], base).tree).toEqual(placed);
    // Where it has to look, it says what it finds.
    const corrupt = expect.objectContaining({ code: 'CORRUPT', file: MADE_FILE });
    expect(() => planTree([stepOf('a', changed('a'))], base)).toThrow(corrupt);
    expect(() => planTree([stepOf('0')], base)).toThrow(corrupt);
    expect(() => planTree([stepOf('b')], base)).toThrow(corrupt);
  });

  it('reads again what was not settled, and what it has no facts of', () => {
    const { asked } = planTwice([['a', { isSettled: false }], ['b']], [['a'], ['b']]);
    expect(asked).toEqual(['read a', 'content a']);
    const unknown = planTwice([['a'], ['b']], [['a', { facts: undefined }], ['b']]);
    expect(unknown.asked).toEqual(['read a', 'content a']);
    const first = planTwice([['a', { facts: undefined }], ['b']], [['a'], ['b']]);
    expect(first.asked).toEqual(['read a', 'content a']);
  });

  it('reads everything without facts, and leaves it where it was', () => {
    const before = planTree([stepOf('a'), stepOf('b')], undefined);
    const base = { ...baseOf(before), facts: undefined };
    const after = planTree([stepOf('a'), stepOf('b')], base);
    expect(after).toMatchObject({ readCount: 2, inherited: runsOf(), runs: before.runs });
    expect(after.tree).toEqual(before.tree);
  });

  it('gives up the pages of what is gone, at the end too', () => {
    const { after } = planTwice([['a'], ['b'], ['c'], ['d']], [['b'], ['c', changed('c')]]);
    expect([...after.runs.runStart]).toEqual([2]);
    expect([...after.runs.runLength]).toEqual([4]);
    expect(after.inherited).toEqual(runsOf([0, 2]));
    expect(Object.keys(entriesOf(after))).toEqual(['b', 'c']);
  });

  it('gives up the pages of a file that is something else now, and the other way round', () => {
    const directory: Made = { ...changed('a'), node: { kind: 'directory', sizeBytes: 0 } };
    const { after } = planTwice([['a'], ['b']], [['a', directory], ['a/c'], ['b']]);
    expect(after).toMatchObject({ pageCount: 4, readCount: 1 });
    expect(entriesOf(after)['a']?.extents).toEqual(runsOf());
    const back = planTwice([['a', directory], ['b']], [['a'], ['b']]);
    expect(back.after).toMatchObject({ pageCount: 4, readCount: 1 });
  });
});

describe('files of several names in a plan', () => {
  const named: Made = { hasOtherNames: true };
  const hardTo = (target: string): Made => ({
    hasOtherNames: true,
    node: { kind: 'hard', target: bytesOf(target), sizeBytes: 0 },
  });

  it('are asked what they are, and not read', () => {
    const paths = [
      ['a', named],
      ['b', hardTo('a')],
    ] as const;
    const { before, after, asked } = planTwice(paths, paths);
    expect(asked).toEqual(['read a', 'read b']);
    expect(after.tree).toEqual(before.tree);
    expect(after).toMatchObject({ readCount: 0, inherited: runsOf([0, 2]) });
  });

  it('are read when another name is the first now, whose facts are the same', () => {
    const { after } = planTwice(
      [
        ['a', named],
        ['b', hardTo('a')],
      ],
      [
        ['b', named],
        ['c', hardTo('b')],
      ],
    );
    expect(entriesOf(after)).toMatchObject({ b: { kind: 'file' }, c: { kind: 'hard' } });
    expect(after).toMatchObject({ readCount: 1, pageCount: 2 });
    const back = planTwice(
      [
        ['b', named],
        ['c', hardTo('b')],
      ],
      [
        ['a', named],
        ['b', hardTo('a')],
      ],
    );
    expect(entriesOf(back.after)['b']?.extents).toEqual(runsOf());
    expect(back.after).toMatchObject({ readCount: 1, pageCount: 2 });
  });

  it('are read when they have other pages than their facts promise', () => {
    for (const node of [
      { sizeBytes: 9000 },
      { sizeBytes: 4096 },
      { sizeBytes: 8000 },
      { sizeBytes: 12_000, dataRuns: runsOf([0, 2]) },
    ]) {
      const { after, asked } = planTwice([['a', named]], [['a', { ...named, node }]]);
      expect(asked).toEqual(['read a', 'content a']);
      expect(after.readCount).toBe(1);
      expect(entriesOf(after)['a']).toMatchObject(node);
    }
    const sparse = { ...named, node: { sizeBytes: 40_000, dataRuns: runsOf([3, 2]) } };
    expect(planTwice([['a', sparse]], [['a', sparse]]).after.readCount).toBe(0);
    const other = { ...named, node: { sizeBytes: 40_000, dataRuns: runsOf([4, 2]) } };
    expect(planTwice([['a', sparse]], [['a', other]]).after.readCount).toBe(1);
  });
});

describe('a plan of 100,000 paths', () => {
  const COUNT = 100_000;
  const pathAt = (i: number): string => `usr/lib/${Math.floor(i / 50) + 10_000}/${i + 100_000}.py`;

  function* steps(different: ReadonlyMap<number, Made>, without = -1): Generator<PlanStep> {
    for (let i = 0; i < COUNT; i++) if (i !== without) yield stepOf(pathAt(i), different.get(i));
  }

  /** Pages of the tree by their addresses. */
  function treePages({ tree: { bytes, runs } }: TreePlan): Map<number, string> {
    const pages = new Map<number, string>();
    let offset = 0;
    const each = ({ runStart, runLength }: SpaceRuns, run: number): void => {
      for (let page = 0; page < (runLength[run] as number); page++, offset += 4096) {
        const text = Buffer.from(bytes.subarray(offset, offset + 4096)).toString('latin1');
        pages.set((runStart[run] as number) + page, text);
      }
    };
    for (let run = 0; run < runs.runStart.length; run++) each(runs, run);
    return pages;
  }

  it('has other pages only in the block of a path that changed, came or went', () => {
    const before = planTree(steps(new Map()), undefined);
    const old = treePages(before);
    expect(old.size).toBeGreaterThan(500);
    const most = Math.max(...baseOf(before).tree.blocks.map(({ pages }) => pages));
    const plans: readonly [TreePlan, number, number, number][] = [
      [planTree(steps(new Map([[70_000, changed(pathAt(0))]])), baseOf(before)), 1, COUNT, most],
      // Where a block was full, what follows moves on up to the next end by hash.
      [planTree(steps(new Map(), 70_000), baseOf(before)), 0, COUNT - 1, 3 * most],
    ];
    for (const [plan, readCount, pathCount, pages] of plans) {
      expect(plan).toMatchObject({ readCount, pathCount });
      const different = [...treePages(plan)].filter(([at, page]) => old.get(at) !== page);
      expect(different.length).toBeLessThanOrEqual(pages);
      expect(plan.runs.runStart.length).toBeLessThan(3);
    }
  });
});
