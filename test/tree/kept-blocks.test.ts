/** Blocks of a tree that continues another one: the bytes are those of building it anew. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockBuilder, type TreeBlock } from '../../src/tree/block.ts';
import { KeptBlocks } from '../../src/tree/kept-blocks.ts';
import { placeBlocks } from '../../src/tree/place-blocks.ts';
import { StoredTree } from '../../src/tree/tree.ts';
import { bytesOf, MADE_FILE, textOf } from '../support/made-nodes.ts';

/** Records: a path, and a body of any bytes. */
type Records = ReadonlyMap<string, string>;

const sorted = (records: Records): (readonly [string, string])[] =>
  [...records].sort(([a], [b]) => (a < b ? -1 : 1));

function built(records: Records): TreeBlock[] {
  const builder = new BlockBuilder();
  const blocks = sorted(records).map(([path, body]) => builder.add(bytesOf(path), bytesOf(body)));
  return [...blocks, builder.finish()].filter((block) => block !== undefined);
}

function storedOf(blocks: readonly TreeBlock[]): StoredTree {
  const { bytes, runs } = placeBlocks(blocks, undefined).tree;
  return new StoredTree(bytes, runs, MADE_FILE);
}

/** Builds records, keeping those that the base has just so. */
function continued(base: StoredTree, records: Records): readonly TreeBlock[] {
  const blocks = new KeptBlocks(base);
  const cursor = base.cursor();
  let isThere = cursor.next();
  for (const [path, body] of sorted(records)) {
    while (isThere && textOf(cursor.path) < path) isThere = cursor.next();
    const isSame = isThere && textOf(cursor.path) === path && textOf(cursor.bodyBytes) === body;
    if (isSame) blocks.keep(cursor);
    else blocks.add(bytesOf(path), bytesOf(body));
  }
  return blocks.finish();
}

const bytesAndPaths = (blocks: readonly TreeBlock[]): unknown =>
  blocks.map(({ firstPath, bytes }) => [textOf(firstPath), Buffer.from(bytes).toString('latin1')]);

const plain = (count: number): Records =>
  new Map(Array.from({ length: count }, (_, i) => [`file-${100_000 + i}`, `body ${i}`]));

describe('kept blocks', () => {
  it('are all of a tree in which nothing changed, the last one too', () => {
    const base = storedOf(built(plain(2000)));
    const blocks = continued(base, plain(2000));
    expect(blocks.every(({ kept }) => kept !== undefined)).toBe(true);
    expect(bytesAndPaths(blocks)).toEqual(bytesAndPaths(built(plain(2000))));
  });

  it('are all but the one in which something changed', () => {
    const base = storedOf(built(plain(2000)));
    const blocks = continued(base, new Map([...plain(2000), ['file-100700', 'other']]));
    expect(blocks.filter(({ kept }) => kept === undefined)).toHaveLength(1);
  });

  it('do not end the tree where more comes behind their last one', () => {
    const base = storedOf(built(plain(100)));
    const more = new Map([...plain(100), ['g', 'more']]);
    expect(bytesAndPaths(continued(base, more))).toEqual(bytesAndPaths(built(more)));
  });

  it('refuse what does not come behind them', () => {
    const base = storedOf(built(plain(100)));
    const blocks = new KeptBlocks(base);
    for (const cursor = base.cursor(); cursor.next();) blocks.keep(cursor);
    expect(() => {
      blocks.add(bytesOf('file-100000'), bytesOf(''));
    }).toThrow(RangeError);
  });

  it('are the blocks that are built of the same records, whatever changed', () => {
    const edit = fc.record({
      at: fc.nat(1499),
      what: fc.constantFrom('change', 'remove', 'add', 'removeMany'),
    });
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 12 }),
        fc.integer({ min: 1, max: 1500 }),
        (edits, count) => {
          const base = storedOf(built(plain(count)));
          const records = new Map(plain(count));
          for (const { at, what } of edits) {
            const path = `file-${100_000 + at}`;
            if (what === 'add') records.set(`${path}-more`, 'new');
            else if (what === 'change' && records.has(path)) records.set(path, 'changed');
            else if (what === 'remove') records.delete(path);
            else for (let i = at; i < at + 300; i++) records.delete(`file-${100_000 + i}`);
          }
          expect(bytesAndPaths(continued(base, records))).toEqual(bytesAndPaths(built(records)));
        },
      ),
      { numRuns: 60 },
    );
  });
});
