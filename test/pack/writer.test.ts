/** Packs of every shape: what is put in comes out, slot by slot. */
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { PAGE_BYTES } from '../../src/bytes/page.ts';
import { BlockEncoder } from '../../src/pack/block.ts';
import { applyDelta } from '../../src/pack/delta-frame.ts';
import { BLOCK, FRAME_PAGES } from '../../src/pack/format.ts';
import { DeltaFrames, type RawFrame } from '../../src/pack/frame-builder.ts';
import type { FrameTable } from '../../src/pack/frame-table.ts';
import type { PackReader } from '../../src/pack/reader.ts';
import { changedPage, recordOf, viewOf } from '../support/made-deltas.ts';
import {
  identityOf,
  makePack,
  numberedPage,
  openBytes,
  readOut,
  SegmentFiller,
  writePack,
  zstd,
} from '../support/made-packs.ts';

/** The page in a slot, found the way a restore finds it. */
function pageIn(pack: PackReader, segment: number, slot: number): Uint8Array | undefined {
  const place = pack.find(segment, slot);
  if (place === undefined) return undefined;
  const frame = new Uint8Array(FRAME_PAGES * PAGE_BYTES);
  pack.readFrame(place.table, place.index, frame);
  const start = place.table.rankOf(place.index, slot) * PAGE_BYTES;
  const length = place.table.pageBytes(slot);
  // A short page is filled up with zeros.
  expect(frame.subarray(start + length, start + PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
  return frame.slice(start, start + length);
}

const pageLengths = fc.array(fc.oneof(fc.constant(PAGE_BYTES), fc.constantFrom(1, 100, 4095)), {
  maxLength: 140,
  size: 'max',
});

describe('PackWriter', () => {
  it('keeps every page of every segment, and says where it is', () => {
    const shapes = fc.array(pageLengths, { maxLength: 3 });
    fc.assert(
      fc.property(shapes, fc.array(fc.uint8Array(), { maxLength: 3 }), (lists, manifests) => {
        const segments = lists.map((lengths, segment) => ({
          identity: identityOf(segment + 1),
          pages: lengths.map((length, i) => numberedPage(segment * 1000 + i, length)),
        }));
        const unique = manifests.map((bytes, i) => Uint8Array.of(i, ...bytes));
        const { bytes, name, sizeBytes } = makePack({ segments, manifests: unique });
        expect([name, sizeBytes]).toEqual([toHex(sha256(bytes)), bytes.length]);
        const pack = openBytes(bytes);
        expect(pack.computeName()).toBe(name);
        expect(pack.footer.references).toEqual(segments.map(({ identity }) => identity));
        pack.digestBlocks.check();
        segments.forEach(({ pages }, segment) => {
          for (const [slot, page] of pages.entries()) {
            expect(pack.hasDigest(segment, slot, sha256(page), 0)).toBe(true);
            if (slot % 7 === 0) expect(pageIn(pack, segment, slot)).toEqual(page);
          }
          expect(pack.find(segment, pages.length)).toBeUndefined();
          expect(pack.hasDigest(segment, pages.length, sha256(numberedPage(0)), 0)).toBe(false);
        });
        for (const one of unique) expect(pack.readManifest(sha256(one))).toEqual(one);
      }),
      { numRuns: 25 },
    );
  });

  it.each([0, 1, 63, 64, 65, 127, 128, 129])('reads %d pages out in order', (count) => {
    const pages = Array.from({ length: count }, (_, i) => numberedPage(i));
    const pack = openBytes(makePack({ segments: [{ identity: identityOf(1), pages }] }).bytes);
    expect(readOut(pack)).toEqual([
      `segment ${'01'.repeat(16)}`,
      ...pages.map((page, slot) => `slot ${slot}: 4096 bytes, ${toHex(sha256(page))}`),
    ]);
    expect(pack.frameTables(0)).toHaveLength(count === 0 ? 0 : 1);
  });

  it.each([
    [128 * 64 - 1, 1, 1],
    [128 * 64 + 1, 2, 1],
    [4096 * 64, 32, 1],
    [4096 * 64 + 1, 33, 2],
  ])('keeps %d pages in %d blocks of digests and %d frame tables', (count, blocks, tables) => {
    const digests = new Uint8Array(32);
    const view = new DataView(digests.buffer);
    const page = numberedPage(0);
    // The writer believes the digests that it is given: a counter is quicker than SHA-256.
    const { bytes } = writePack((writer) => {
      const filler = new SegmentFiller(writer, identityOf(1));
      for (let slot = 0; slot < count; slot++) {
        view.setUint32(0, slot + 1, true);
        page.set(digests.subarray(0, 4));
        if (filler.addPage(page, digests) !== slot) throw new Error('another slot');
      }
      filler.end();
    });
    const pack = openBytes(bytes);
    const types = pack.footer.entries.map(({ type }) => type);
    expect(types.filter((type) => type === 'digests')).toHaveLength(blocks);
    expect(types.filter((type) => type === 'frameTable')).toHaveLength(tables);
    pack.digestBlocks.check();
    const frame = new Uint8Array(FRAME_PAGES * PAGE_BYTES);
    const words = new DataView(frame.buffer);
    let [slot, wrong] = [0, 0];
    for (const table of pack.frameTables(0)) {
      for (let index = 0; index < table.length; index++) {
        const pages = pack.readFrame(table, index, frame);
        const stored = pack.frameDigests(table, index);
        const numbers = new DataView(stored.buffer, stored.byteOffset, stored.length);
        for (let rank = 0; rank < pages; rank++, slot++) {
          const isRight = words.getUint32(rank * PAGE_BYTES, true) === slot + 1;
          if (!isRight || numbers.getUint32(rank * 32, true) !== slot + 1) wrong += 1;
        }
      }
    }
    expect([slot, wrong]).toEqual([count, 0]);
    view.setUint32(0, count, true);
    expect(pack.hasDigest(0, count - 1, digests, 0)).toBe(true);
    expect(pack.find(0, count)).toBeUndefined();
  });

  it.each([0, 1, 1024 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024 + 17])(
    'keeps a manifest of %d bytes in parts of 1 MiB',
    (length) => {
      const manifest = new Uint8Array(length);
      for (let i = 0; i < length; i++) manifest[i] = (i ^ (i >> 9)) & 0xff;
      const pack = openBytes(makePack({ manifests: [Uint8Array.of(1), manifest] }).bytes);
      expect(pack.footer.entries).toHaveLength(1 + Math.max(1, Math.ceil(length / 1024 / 1024)));
      expect(Buffer.compare(pack.readManifest(sha256(manifest)), manifest)).toBe(0);
      expect(pack.readManifest(sha256(Uint8Array.of(1)))).toEqual(Uint8Array.of(1));
    },
  );

  it('keeps pages that do not compress as they are, and is hardly longer than they', () => {
    let state = 1;
    const page = Uint8Array.from({ length: PAGE_BYTES }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    });
    const pages = Array.from({ length: 64 }, (_, i) => page.map((byte) => byte ^ (i * 37)));
    for (const [i, one] of pages.entries()) one.reverse().set([i, 1, 2, 3], i);
    const { bytes } = makePack({ segments: [{ identity: identityOf(1), pages }] });
    expect(bytes.length).toBeLessThan(64 * PAGE_BYTES + 64 * 32 + 400);
    expect(readOut(openBytes(bytes))).toHaveLength(65);
  });

  it('keeps deltas in frames and a table of their own, without digests', () => {
    const pages = Array.from({ length: 70 }, (_, i) => numberedPage(i, i === 69 ? 77 : PAGE_BYTES));
    const deltas = pages.map((base, slot) => ({ page: changedPage(base, slot), base, slot }));
    const { bytes } = makePack({ segments: [{ identity: identityOf(1), pages, deltas }] });
    const pack = openBytes(bytes);
    const [full, delta] = pack.frameTables(0) as [FrameTable, FrameTable];
    expect([full.isDelta(0), delta.isDelta(0), delta.length]).toEqual([false, true, 2]);
    expect(delta.entryAt(1)).toMatchObject({ frame: 2 ** 25 + 1, slotsLow: 63, slotsHigh: 0 });
    expect([0, 1].map((index) => delta.entryAt(index).digestsOffset)).toEqual([0, 0]);
    for (const [i, { page, base }] of deltas.entries()) {
      const slot = 2 ** 31 + i;
      const place = pack.find(0, slot)!;
      const frame = pack.readDeltaFrame(place.table, place.index);
      const rank = place.table.rankOf(place.index, slot);
      expect([frame.depth[rank], frame.baseSegment[rank], frame.baseSlot[rank]]).toEqual([1, 0, i]);
      const target = viewOf(base).bytes;
      applyDelta(frame, rank, target, 0);
      expect(target).toEqual(viewOf(page).bytes);
      expect(place.table.pageBytes(slot)).toBe(page.length);
      expect(pack.hasDigest(0, slot, sha256(page), 0)).toBe(false);
      // Where digests would be, were an offset of 0 one.
      expect(pack.hasDigest(0, slot, bytes, (i % 64) * 32)).toBe(false);
    }
    expect(pack.find(0, 2 ** 31 + 70)).toBeUndefined();
  });

  it.each([
    [4096 * 64, 1],
    [4096 * 64 + 1, 2],
  ])('keeps %d deltas in %d frame tables', (count, tables) => {
    const base = numberedPage(1);
    const record = recordOf(changedPage(base, 1), base, { segment: 0, slot: 0, depth: 1 });
    const frames = new DeltaFrames();
    const encoder = new BlockEncoder(zstd);
    const { bytes } = writePack((writer) => {
      writer.beginSegment(identityOf(1));
      const write = (frame: RawFrame) =>
        writer.addFrame(frame, encoder.encode(frame.type, frame.raw, 1));
      for (let i = 0; i < count; i++) {
        // The base tells which one it is.
        const slot = frames.add({ ...record, slot: i }, 0, i === count - 1 ? 5 : PAGE_BYTES);
        if (slot !== 2 ** 31 + i) throw new Error('another slot');
        if (frames.isFull) write(frames.take()!);
      }
      const last = frames.take();
      if (last !== undefined) write(last);
      writer.endSegment();
    });
    const pack = openBytes(bytes);
    expect(pack.frameTables(0)).toHaveLength(tables);
    expect(pack.footer.entries.some(({ type }) => type === 'digests')).toBe(false);
    let [slot, wrong] = [0, 0];
    for (const table of pack.frameTables(0)) {
      for (let index = 0; index < table.length; index++) {
        const { baseSlot } = pack.readDeltaFrame(table, index);
        for (const one of baseSlot) wrong += one === slot++ ? 0 : 1;
      }
    }
    expect([slot, wrong]).toEqual([count, 0]);
    const place = pack.find(0, 2 ** 31 + count - 1);
    expect(place?.table.pageBytes(2 ** 31 + count - 1)).toBe(5);
  });

  it('takes frames of both kinds in any mixture', () => {
    const base = numberedPage(7);
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 400, size: 'max' }),
        (kinds) => {
          let [fullPages, deltaPages] = [0, 0];
          const { bytes } = writePack((writer) => {
            const filler = new SegmentFiller(writer, identityOf(1));
            for (const isDelta of kinds) {
              const number = fullPages + deltaPages;
              if (isDelta) {
                const page = changedPage(base, number);
                expect(filler.addDelta({ page, base, slot: 0 })).toBe(2 ** 31 + deltaPages++);
              } else expect(filler.addPage(numberedPage(number))).toBe(fullPages++);
            }
            filler.end();
          });
          const pack = openBytes(bytes);
          const lines = readOut(pack);
          expect(lines).toHaveLength(1 + kinds.length);
          const fullSlots = kinds.flatMap((isDelta, i) => (isDelta ? [] : [i]));
          for (const [slot, number] of fullSlots.entries()) {
            const digest = sha256(numberedPage(number));
            expect(pack.hasDigest(0, slot, digest, 0)).toBe(true);
            expect(lines[1 + slot]).toContain(toHex(digest));
          }
          expect(pack.frameTables(0)).toHaveLength(
            (fullPages > 0 ? 1 : 0) + (deltaPages > 0 ? 1 : 0),
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does not end with frames that no table lists', () => {
    const unfinished = () =>
      writePack((writer) => {
        const filler = new SegmentFiller(writer, identityOf(1));
        for (let i = 0; i < 64; i++) filler.addPage(numberedPage(i));
      });
    expect(unfinished).toThrow(/the segment has not ended/);
  });

  it('numbers segments by their first mention, and knows them again', () => {
    const { bytes } = writePack((writer) => {
      expect(writer.reference(identityOf(9))).toBe(0);
      expect(writer.reference(identityOf(8))).toBe(1);
      expect(writer.reference(identityOf(9))).toBe(0);
      const filler = new SegmentFiller(writer, identityOf(8));
      filler.addPage(numberedPage(1), new Uint8Array(32).fill(3));
      filler.end();
    });
    const pack = openBytes(bytes);
    expect(pack.footer.references).toEqual([identityOf(9), identityOf(8)]);
    expect([pack.find(0, 0), pack.frameTables(0)]).toEqual([undefined, []]);
    expect(pack.hasDigest(1, 0, new Uint8Array(32).fill(3), 0)).toBe(true);
  });

  it('writes the same bytes for the same content', () => {
    const pages = [numberedPage(1), numberedPage(2, 9)];
    const content = { segments: [{ identity: identityOf(1), pages }] };
    expect(makePack(content).name).toBe(makePack(content).name);
    const { bytes } = makePack({});
    expect(toHex(bytes.subarray(0, 16))).toBe('63726975746c706b0100000000000000');
    expect(toHex(bytes.subarray(-8))).toBe(Buffer.from('criutlpe').toString('hex'));
  });
});

describe('frames of which only some slots are left', () => {
  it('say which they are, and keep their pages and digests', () => {
    const word = fc.oneof(fc.constantFrom(1, 0x80000000, 0xffffffff), fc.nat(0xffffffff));
    const frames = fc.uniqueArray(fc.record({ frame: fc.nat(5000), low: word, high: word }), {
      selector: ({ frame }) => frame,
      maxLength: 5,
    });
    const has = (low: number, high: number, bit: number): boolean =>
      (((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 1;
    const run = (list: readonly { frame: number; low: number; high: number }[]): void => {
      const encoder = new BlockEncoder(zstd);
      const ordered = list.toSorted((a, b) => a.frame - b.frame);
      const slotsOf = ({ frame, low, high }: (typeof ordered)[number]): number[] =>
        Array.from({ length: 64 }, (_, bit) => bit)
          .filter((bit) => has(low, high, bit))
          .map((bit) => frame * 64 + bit);
      const lengthOf = (slot: number): number => (slot % 7 === 0 ? 100 : PAGE_BYTES);
      const { bytes } = writePack((writer) => {
        writer.beginSegment(identityOf(1));
        for (const each of ordered) {
          const slots = slotsOf(each);
          if (slots.length === 0) continue;
          const pages = slots.map((slot) => numberedPage(slot, lengthOf(slot)));
          const raw = new Uint8Array(slots.length * PAGE_BYTES);
          pages.forEach((page, i) => raw.set(page, i * PAGE_BYTES));
          const shortPages = slots
            .filter((slot) => lengthOf(slot) < PAGE_BYTES)
            .map((slot) => ({ slot, bytes: lengthOf(slot) }));
          const digests = Uint8Array.from(Buffer.concat(pages.map((page) => sha256(page))));
          const { frame, low, high } = each;
          const head = { frame, pages: slots.length, slots: { low, high }, shortPages };
          writer.addFrame({ ...head, digests }, encoder.encode(BLOCK.frame, raw, 1));
        }
        writer.endSegment();
      });
      const pack = openBytes(bytes);
      for (const each of ordered) {
        const slots = new Set(slotsOf(each));
        for (let slot = each.frame * 64; slot < (each.frame + 1) * 64; slot++) {
          const page = numberedPage(slot, lengthOf(slot));
          const found = pageIn(pack, 0, slot);
          expect(found !== undefined).toBe(slots.has(slot));
          if (found !== undefined) expect(Buffer.compare(found, page)).toBe(0);
          expect(pack.hasDigest(0, slot, sha256(page), 0)).toBe(slots.has(slot));
        }
      }
    };
    fc.assert(fc.property(frames, run), { numRuns: 20 });
  });
});
