/** The states block of a store: what its manifests do not tell, as the catalog has it now. */
import { idFromText, idToText } from '../bytes/id.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { encodeStates, type StateOfSnapshot, type States } from '../pack/states.ts';
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

const NOTHING: Omit<StateOfSnapshot, 'id'> = { removed: false, pinned: false, note: '' };

/**
 * Whether the newest states in packs, with the manifests there, tell what the catalog knows. They
 * do not when they are damaged, or went with their pack.
 */
export function areTold(
  { catalog }: StoreContext,
  rows: readonly SnapshotRow[],
  newest: States | undefined,
): boolean {
  const told = new Map(newest?.snapshots.map(({ id, ...state }) => [idToText(id), state]));
  const isRight = ({ id, removed, pinned, note }: SnapshotRow) => {
    const state = told.get(id) ?? NOTHING;
    return state.removed === removed && state.pinned === pinned && state.note === note;
  };
  if (!rows.every(isRight)) return false;
  const gone = catalog.collections.tombstones();
  if (!gone.every((id) => told.get(id)?.removed === true)) return false;
  const last = new Map(newest?.timelines.map(({ name, lastSequence }) => [name, lastSequence]));
  for (const { timelineName: name, sequence } of rows) {
    last.set(name, Math.max(last.get(name) ?? 0, sequence));
  }
  const timelines = catalog.timelines();
  return timelines.every(({ name, lastSequence }) => (last.get(name) ?? 0) >= lastSequence);
}
