/**
 * Tables of the catalog, read some rows at a time: of thousands, that takes tens of milliseconds.
 * What is added meanwhile comes last, and what has changed is as it was, or is, when it was read.
 */
import type { StoreError } from '../errors.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';

/** Some 4 ms. */
const ROWS_IN_ONE_GO = 200;

/**
 * Reads a table.
 *
 * @param read rows by number, above one and so many at most; puts damage on the list.
 * @throws StoreError CORRUPT when a row is damaged: what it is about is there, but seems lost.
 */
export async function readInPieces<Row extends { readonly number: number }>(
  pacer: Pacer,
  read: (after: number, limit: number, damage: StoreError[]) => readonly Row[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const damage: StoreError[] = [];
    const some = read(rows.at(-1)?.number ?? 0, ROWS_IN_ONE_GO, damage);
    if (damage[0] !== undefined) throw damage[0];
    rows.push(...some);
    if (some.length < ROWS_IN_ONE_GO) return rows;
    await pacer.pause();
  }
}

/** The names of all packs. @throws StoreError CORRUPT. */
export async function readPackNames({ catalog }: StoreContext, pacer: Pacer): Promise<Set<string>> {
  const rows = await readInPieces(pacer, (after, limit, damage) =>
    catalog.packs(after, damage, limit),
  );
  return new Set(rows.map(({ name }) => name));
}
