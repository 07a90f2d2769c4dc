/**
 * The states in a pack (FORMAT.md, section 3): what manifests do not tell, for whoever rebuilds a
 * catalog from packs. Pure. Those with the highest generation of a store count.
 *
 * One meaning is one byte string: names and ids ascend, none comes twice, and a snapshot of which
 * there is nothing to say is not in it.
 */
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';

/** The greatest sequence that a timeline ever gave, also to a snapshot that is gone. */
export interface TimelineState {
  readonly name: string;
  readonly lastSequence: number;
}

/** What is to be said of a snapshot, be it there or gone. */
export interface StateOfSnapshot {
  /** Its id in binary form. */
  readonly id: Uint8Array;
  readonly removed: boolean;
  readonly pinned: boolean;
  /** Empty without one. */
  readonly note: string;
}

/** What the block says. Snapshots that it does not name are live, not pinned, without a note. */
export interface States {
  /** Of the store when the transaction commits that knows this pack. */
  readonly generation: number;
  readonly timelines: readonly TimelineState[];
  readonly snapshots: readonly StateOfSnapshot[];
}

const SNAPSHOT_ID_BYTES = 16;
/** Bytes of a timeline's name and of a note, at most. */
const MAX_TEXT_BYTES = 4096;
/** Bytes that a timeline takes at least: a name of one character, its sequence. */
const MINIMUM_TIMELINE_BYTES = 2;
/** Bytes that a snapshot takes at least: its id, its flags, an empty note. */
const MINIMUM_SNAPSHOT_BYTES = SNAPSHOT_ID_BYTES + 2;
const REMOVED = 1;
const PINNED = 2;

/**
 * The block's bytes: put in order, and without snapshots of which there is nothing to say.
 *
 * @throws RangeError when a timeline or a snapshot comes twice.
 */
export function encodeStates({ generation, timelines, snapshots }: States): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u64(generation);
  const named = timelines.map((state) => ({ key: new TextEncoder().encode(state.name), state }));
  writer.varint(named.length);
  for (const { key, state } of ascending(named)) {
    writer.byteString(key);
    writer.varint(state.lastSequence);
  }
  const told = snapshots.filter(({ removed, pinned, note }) => removed || pinned || note !== '');
  writer.varint(told.length);
  for (const { key, state } of ascending(told.map((state) => ({ key: state.id, state })))) {
    writer.raw(key);
    writer.u8((state.removed ? REMOVED : 0) + (state.pinned ? PINNED : 0));
    writer.text(state.note);
  }
  return writer.bytes();
}

interface Keyed<State> {
  readonly key: Uint8Array;
  readonly state: State;
}

function ascending<State>(list: Keyed<State>[]): Keyed<State>[] {
  list.sort((a, b) => Buffer.compare(a.key, b.key));
  list.forEach(({ key }, i) => {
    const before = list[i - 1]?.key;
    if (before !== undefined && Buffer.compare(before, key) === 0) {
      throw new RangeError('two states of the same');
    }
  });
  return list;
}

/**
 * @param offset where the block is in `file`, for errors.
 * @throws StoreError CORRUPT when anything disagrees.
 */
export function decodeStates(bytes: Uint8Array, file: string, offset: number): States {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file, offset });
  const generation = reader.u64();
  const timelines = decodeTimelines(reader);
  const snapshots = decodeSnapshots(reader);
  reader.end();
  return { generation, timelines, snapshots };
}

function decodeTimelines(reader: ByteReader): TimelineState[] {
  const count = reader.count(reader.remaining / MINIMUM_TIMELINE_BYTES, 'timelines');
  const timelines: TimelineState[] = [];
  let before: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    const name = reader.text(MAX_TEXT_BYTES, 'timeline');
    const key = new TextEncoder().encode(name);
    if (key.length === 0) throw reader.fail('timeline without a name');
    if (before !== undefined && Buffer.compare(before, key) >= 0) {
      throw reader.fail('timelines do not ascend');
    }
    before = key;
    timelines.push({ name, lastSequence: reader.varint() });
  }
  return timelines;
}

function decodeSnapshots(reader: ByteReader): StateOfSnapshot[] {
  const count = reader.count(reader.remaining / MINIMUM_SNAPSHOT_BYTES, 'snapshots');
  const snapshots: StateOfSnapshot[] = [];
  for (let i = 0; i < count; i++) {
    const id = reader.bytes(SNAPSHOT_ID_BYTES);
    const before = snapshots.at(-1)?.id;
    if (before !== undefined && Buffer.compare(before, id) >= 0) {
      throw reader.fail('snapshots do not ascend');
    }
    const flags = reader.u8();
    if (flags > REMOVED + PINNED) throw reader.fail(`flags ${flags} of a snapshot`);
    const note = reader.text(MAX_TEXT_BYTES, 'note');
    if (flags === 0 && note === '') throw reader.fail('nothing is said of a snapshot');
    const [removed, pinned] = [(flags & REMOVED) !== 0, (flags & PINNED) !== 0];
    snapshots.push({ id: Uint8Array.from(id), removed, pinned, note });
  }
  return snapshots;
}
