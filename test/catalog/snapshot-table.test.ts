/** Finding snapshots by time, sequence and id, against a plain list. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ListedSnapshot } from '../../src/catalog/rows.ts';
import { captureOf, newCatalog, openRaw, snapshotId } from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** Snapshots of two timelines, whose times go to and fro, some removed, some pre-dumps. */
const histories = fc.array(
  fc.record({
    timelineName: fc.constantFrom('web', 'db'),
    takenAtMs: fc.integer({ min: -3, max: 6 }),
    kind: fc.constantFrom('restorable', 'restorable', 'pre-dump'),
    removed: fc.constantFrom(false, false, true),
  }),
  { maxLength: 12 },
);

const idOf = (row: ListedSnapshot | undefined): string | undefined => row?.id;

describe('the table of snapshots', () => {
  it('answers like a list that is searched from end to end', async () => {
    const run = async (history: readonly Omit<HistoryItem, 'sequence' | 'id'>[]) => {
      const catalog = await newCatalog(nextPath());
      const items: HistoryItem[] = [];
      for (const [i, item] of history.entries()) {
        const before = items.filter((other) => other.timelineName === item.timelineName).length;
        const { timelineName, takenAtMs, kind } = item;
        const sequence = before + 1;
        const made = captureOf(i + 1, { timelineName, takenAtMs, kind, sequence });
        await catalog.commitCapture(made);
        if (item.removed) await catalog.setStates([{ id: made.snapshot.id, removed: true }]);
        items.push({ ...item, sequence, id: made.snapshot.id });
      }
      const table = catalog.snapshots;
      expect(table.all().map(idOf)).toEqual(items.map(({ id }) => id));
      for (const name of ['web', 'db', 'none']) {
        const all = items.filter(({ timelineName }) => timelineName === name);
        const present = all.filter(({ removed }) => !removed);
        const restorable = present.filter(({ kind }) => kind === 'restorable');
        expect(table.ofTimeline(name).map(idOf)).toEqual(present.map(({ id }) => id));
        expect(idOf(table.latest(name))).toBe(restorable.at(-1)?.id);
        expect(idOf(table.newest(name))).toBe(present.at(-1)?.id);
        expect(table.nextSequence(name)).toBe(all.length + 1);
        for (let time = -4; time <= 7; time++) {
          const until = restorable.filter(({ takenAtMs }) => takenAtMs <= time);
          const greatest = Math.max(...until.map(({ takenAtMs }) => takenAtMs));
          const expected = until.findLast(({ takenAtMs }) => takenAtMs === greatest);
          expect(idOf(table.at(name, time))).toBe(expected?.id);
        }
        for (let sequence = 0; sequence <= all.length + 1; sequence++) {
          expect(idOf(table.bySequence(name, sequence))).toBe(all[sequence - 1]?.id);
        }
      }
      catalog.close();
    };
    await fc.assert(fc.asyncProperty(histories, run), { numRuns: 20 });
  });

  it('keeps any text, whatever SQLite and JSON have to escape in it', async () => {
    const catalog = await newCatalog(nextPath());
    const { id } = captureOf(1).snapshot;
    await catalog.commitCapture(captureOf(1));
    const run = async (note: string) => {
      await catalog.setStates([{ id, note }]);
      expect(catalog.snapshots.get(id).note).toBe(note);
      expect(catalog.snapshots.all().map((row) => row.note)).toEqual([note]);
    };
    for (const note of ['\0', 'a\0b', '\u2028\u2029', '\u007f"\\\'/\b\v\f', '\ufeff\ufffe']) {
      await run(note);
    }
    const texts = fc
      .string({ unit: 'binary' })
      .filter((text) => Buffer.from(text).toString() === text);
    await fc.assert(fc.asyncProperty(texts, run), { numRuns: 300 });
    catalog.close();
  });

  it('finds ids by any prefix, in order, up to a limit, removed or not', async () => {
    const catalog = await newCatalog(nextPath());
    const ids = [...[5, 6, 300, 301].map(snapshotId), '7'.padEnd(26, 'Z')];
    for (const [i, id] of ids.entries()) await catalog.commitCapture(captureOf(i + 1, { id }));
    await catalog.setStates([{ id: ids[1]!, removed: true }]);
    const find = (prefix: string, limit = 9) =>
      catalog.snapshots.byIdPrefix(prefix, limit).map(idOf);
    for (const id of ids) {
      expect(find(id)).toEqual([id]);
      for (let length = 1; length < 26; length++) {
        const prefix = id.slice(0, length);
        expect(find(prefix)).toEqual(ids.filter((other) => other.startsWith(prefix)));
      }
    }
    expect(find('0', 2)).toEqual(ids.slice(0, 2));
    expect([find('Z'), find(`${ids[0]!}0`)]).toEqual([[], []]);
  });

  it('marks a snapshot as removed and takes the mark back', async () => {
    const catalog = await newCatalog(nextPath());
    const row = await catalog.commitCapture(captureOf(1));
    expect(await catalog.setStates([{ id: row.id, removed: true }])).toEqual([
      { ...row, removed: true },
    ]);
    expect(await catalog.setStates([{ id: row.id, removed: true }])).toEqual([
      { ...row, removed: true },
    ]);
    expect(catalog.totals()).toMatchObject({ snapshots: 0, removedSnapshots: 1, logicalBytes: 0 });
    expect(await catalog.setStates([{ id: row.id, removed: false }])).toEqual([row]);
    const id = snapshotId(9);
    const error = expect.objectContaining({ code: 'NOT_FOUND', snapshot: id });
    await expect(catalog.setStates([{ id, removed: true }])).rejects.toThrow(error);
  });
});

describe('removing what is not pinned', () => {
  const ids = [1, 2, 3].map(snapshotId);

  /** A catalog of three snapshots, and which of them are marked as removed. */
  async function makeThree() {
    const path = nextPath();
    const catalog = await newCatalog(path);
    for (const number of [1, 2, 3]) await catalog.commitCapture(captureOf(number));
    const removed = () => catalog.snapshots.ofTimeline('web', true).map(idOf);
    return { path, catalog, removed };
  }

  it('marks all', async () => {
    const { catalog, removed } = await makeThree();
    expect(await catalog.removeUnpinned(ids.slice(0, 2))).toBe(true);
    expect(removed()).toEqual(ids.slice(0, 2));
    expect(catalog.check()).toEqual([]);
    expect(await catalog.removeUnpinned([])).toBe(true);
  });

  it.each(['pinned', 'marked', 'condemned', 'gone'])('marks none if one is %s', async (how) => {
    const { path, catalog, removed } = await makeThree();
    if (how === 'pinned') await catalog.setStates([{ id: ids[2]!, pinned: true }]);
    if (how === 'marked') await catalog.setStates([{ id: ids[2]!, removed: true }]);
    if (how === 'condemned')
      openRaw(path).exec('UPDATE snapshots SET removed = 2 WHERE number = 3');
    const others = how === 'gone' ? [...ids.slice(0, 2), snapshotId(9)] : ids;
    const before = removed();
    expect(await catalog.removeUnpinned(others)).toBe(false);
    expect(removed()).toEqual(before);
  });

  it('does not cover up for damage', async () => {
    const { path, catalog, removed } = await makeThree();
    openRaw(path).exec('UPDATE snapshots SET new_pages = 77 WHERE number = 2');
    const error = expect.objectContaining({ code: 'CORRUPT' });
    await expect(catalog.removeUnpinned(ids)).rejects.toThrow(error);
    expect(removed()).toEqual([]);
    expect(catalog.check()).toHaveLength(1);
  });
});

interface HistoryItem {
  readonly timelineName: string;
  readonly takenAtMs: number;
  readonly kind: 'restorable' | 'pre-dump';
  readonly removed: boolean;
  readonly sequence: number;
  readonly id: string;
}
