/** What packs say of snapshots beside their manifests: read as it was written, or refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { decodeStates, encodeStates, type States } from '../../src/pack/states.ts';
import { BLOCK, MAX_BLOCK_RAW_BYTES } from '../../src/pack/format.ts';
import { identityOf, joinPack, makeBlock, openBytes, writePack } from '../support/made-packs.ts';

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });

const states: fc.Arbitrary<States> = fc.record({
  generation: fc.maxSafeNat(),
  timelines: fc.uniqueArray(
    fc.record({
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      lastSequence: fc.oneof(fc.nat(300), fc.maxSafeNat()),
    }),
    { maxLength: 6, selector: ({ name }) => name },
  ),
  snapshots: fc.uniqueArray(
    fc.record({ id: bytes16, removed: fc.boolean(), pinned: fc.boolean(), note: text }),
    { maxLength: 8, selector: ({ id }) => id.join() },
  ),
});

const decode = (bytes: Uint8Array): States => decodeStates(bytes, 'a.pack', 100);

/** States in the order of the block, without snapshots that say nothing. */
function inOrder({ generation, timelines, snapshots }: States): States {
  const bytesOf = (name: string) => Buffer.from(name);
  return {
    generation,
    timelines: timelines.toSorted((a, b) => Buffer.compare(bytesOf(a.name), bytesOf(b.name))),
    snapshots: snapshots
      .filter(({ removed, pinned, note }) => removed || pinned || note.length > 0)
      .toSorted((a, b) => Buffer.compare(a.id, b.id)),
  };
}

/** The bytes of states written by hand. */
function raw(action: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(7);
  action(writer);
  return writer.bytes();
}

describe('states', () => {
  it('are decoded to what was encoded, in order', () => {
    fc.assert(
      fc.property(states, (some) => {
        expect(decode(encodeStates(some))).toEqual(inOrder(some));
      }),
    );
  });

  it('are refused at every cut and with a byte more', () => {
    fc.assert(
      fc.property(states, fc.nat(), (some, seed) => {
        const bytes = encodeStates(some);
        expect(() => decode(bytes.subarray(0, seed % bytes.length))).toThrow(
          expect.objectContaining({ code: 'CORRUPT', file: 'a.pack' }) as Error,
        );
        expect(() => decode(Uint8Array.from([...bytes, 0]))).toThrow(/too many/);
      }),
    );
  });

  it('with any byte changed are refused, or are the bytes of what they say', () => {
    fc.assert(
      fc.property(states, fc.nat(), fc.nat(255), (some, at, byte) => {
        const bytes = Uint8Array.from(encodeStates(some));
        bytes[at % bytes.length] = byte;
        let decoded: States;
        try {
          decoded = decode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT', file: 'a.pack' });
          return;
        }
        expect(encodeStates(decoded)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  const id = identityOf(1);
  const plain = { removed: true, pinned: false, note: '' };

  it('cannot say two things of the same timeline or snapshot', () => {
    const timeline = { name: 'a', lastSequence: 1 };
    const twice = { generation: 1, timelines: [timeline, timeline], snapshots: [] };
    expect(() => encodeStates(twice)).toThrow(RangeError);
    const snapshot = { id, ...plain };
    const again = { generation: 1, timelines: [], snapshots: [snapshot, { ...snapshot }] };
    expect(() => encodeStates(again)).toThrow(RangeError);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['more timelines than fit', raw((w) => w.varint(2 ** 50)), /timelines, at most/],
    ['more snapshots than fit', raw((w) => [0, 2 ** 50].forEach((n) => w.varint(n))), /snapshots/],
    ['a nameless timeline', raw((w) => w.raw(Uint8Array.of(1, 0, 1, 0))), /without a name/],
    [
      'timelines that do not ascend',
      raw((w) => w.raw(Uint8Array.of(2, 1, 98, 1, 1, 97, 1, 0))),
      /timelines do not ascend/,
    ],
    [
      'a timeline twice',
      raw((w) => w.raw(Uint8Array.of(2, 1, 97, 1, 1, 97, 2, 0))),
      /timelines do not ascend/,
    ],
    [
      'snapshots that do not ascend',
      raw((w) => w.raw(Uint8Array.of(0, 2, ...identityOf(2), 1, 0, ...identityOf(1), 1, 0))),
      /snapshots do not ascend/,
    ],
    ['unknown flags', raw((w) => w.raw(Uint8Array.of(0, 1, ...id, 4, 0))), /flags 4 of a snapshot/],
    [
      'a snapshot of which nothing is said',
      raw((w) => w.raw(Uint8Array.of(0, 1, ...id, 0, 0))),
      /nothing is said/,
    ],
    [
      'a note that is too long',
      raw((w) => {
        w.raw(Uint8Array.of(0, 1, ...id, 0));
        w.text('n'.repeat(4097));
      }),
      /4097 bytes of note/,
    ],
  ])('are refused with %s', (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(message);
  });
});

describe('a pack', () => {
  const some: States = {
    generation: 12,
    timelines: [{ name: 'web-1', lastSequence: 40 }],
    snapshots: [{ id: identityOf(3), removed: true, pinned: true, note: 'before the upgrade' }],
  };

  it('gives back the states that were put in, or says that it has none', () => {
    const { bytes } = writePack((writer) => writer.addStates(encodeStates(some)));
    expect(openBytes(bytes).readStates()).toEqual(some);
    expect(openBytes(writePack(() => undefined).bytes).readStates()).toBeUndefined();
  });

  it('takes states once', () => {
    const twice = () =>
      writePack((writer) => [1, 2].forEach(() => writer.addStates(encodeStates(some))));
    expect(twice).toThrow('states come once');
    const block = makeBlock(BLOCK.states, encodeStates(some));
    const entries = [0, 1].map((i) => {
      const place = { offset: 16 + i * block.length, blockBytes: block.length };
      return { type: 'states' as const, ...place };
    });
    const pack = openBytes(joinPack([block, block], { references: [], entries }));
    expect(() => pack.readStates()).toThrow(/too many/);
  });

  it('takes more notes than a block holds', () => {
    const idOf = (n: number) =>
      Uint8Array.from({ length: 16 }, (_, i) => (n >> (8 * (15 - i))) & 255);
    const snapshots = Array.from({ length: 17_000 }, (_, n) => {
      return { id: idOf(n), removed: false, pinned: true, note: `${n}`.padEnd(4096, 'n') };
    });
    const many = encodeStates({ ...some, snapshots });
    expect(many.length).toBeGreaterThan(MAX_BLOCK_RAW_BYTES);
    const { bytes } = writePack((writer) => writer.addStates(many));
    const reader = openBytes(bytes);
    expect(Buffer.compare(encodeStates(reader.readStates() as States), many)).toBe(0);
    const { references, entries } = reader.footer;
    const blocks = entries.map(({ offset, blockBytes }) =>
      bytes.slice(offset, offset + blockBytes),
    );
    const first = entries.slice(0, 1);
    expect(() =>
      openBytes(joinPack([blocks[0] as Uint8Array], { references, entries: first })).readStates(),
    ).toThrow(expect.objectContaining({ code: 'CORRUPT' }) as Error);
  });

  it('finds every changed byte of its states', () => {
    const { bytes } = writePack((writer) => writer.addStates(encodeStates(some)));
    const [place] = openBytes(bytes).footer.entries;
    if (place === undefined) throw new Error('there is a block');
    for (let at = place.offset; at < place.offset + place.blockBytes; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      const read = () => openBytes(changed, 'a.pack').readStates();
      expect(read).toThrow(expect.objectContaining({ code: 'CORRUPT', file: 'a.pack' }) as Error);
    }
  });
});
