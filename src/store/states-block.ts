/** The states block of a store: what its manifests do not tell, as the catalog has it now. */
import { idFromText } from '../bytes/id.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { encodeStates } from '../pack/states.ts';
import type { StoreContext } from './context.ts';

/**
 * The block's bytes.
 *
 * @param generation of the store when it is committed.
 */
export function statesBlock(
  { catalog }: StoreContext,
  rows: readonly SnapshotRow[],
  generation: number,
): Uint8Array {
  const known = rows.map(({ id, removed, pinned, note }) => ({ id, removed, pinned, note }));
  const gone = catalog.collections.tombstones().map((id) => {
    return { id, removed: true, pinned: false, note: '' };
  });
  const states = [...known, ...gone].map(({ id, ...state }) => {
    return { id: idFromText(id) as Uint8Array, ...state };
  });
  return encodeStates({ generation, timelines: catalog.timelines(), snapshots: states });
}
