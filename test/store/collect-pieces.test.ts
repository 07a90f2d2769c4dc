/** What collections write, cut into pieces: nothing is lost or doubled, and the order is right. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { piecesOf, replacementPieces, sentencePieces } from '../../src/store/collect-pieces.ts';

const none = new Uint8Array(0);
const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const count = fc.oneof(fc.nat(3), fc.nat(200));

describe('pieces', () => {
  test('of a sentence are all of it: manifests first, slots last, and told once', () => {
    fc.assert(
      fc.property(count, count, count, (manifests, snapshots, slots) => {
        const sentence = {
          pack: { name: 'p', sizeBytes: 1 },
          manifests: names('m', manifests).map((id) => {
            return { id, digest: none, revision: 2, baseId: undefined };
          }),
          snapshots: names('s', snapshots),
          slots: Array.from({ length: slots }, (_, segment) => ({ segment, slots: none })),
          lostFrames: [{ pack: 'q', offset: 0 }],
          statesChanged: 7,
        };
        const pieces = [...sentencePieces(sentence)];
        expect(pieces.flatMap((piece) => piece.manifests)).toEqual(sentence.manifests);
        expect(pieces.flatMap((piece) => piece.snapshots)).toEqual(sentence.snapshots);
        expect(pieces.flatMap((piece) => piece.slots)).toEqual(sentence.slots);
        expect(pieces.flatMap((piece) => piece.lostFrames)).toEqual(sentence.lostFrames);
        expect(pieces.flatMap((piece) => piece.statesChanged ?? [])).toEqual([7]);
        expect(pieces[0]?.pack).toBe(sentence.pack);
        const kinds = pieces.flatMap((piece) => [
          ...piece.manifests.map(() => 1),
          ...piece.snapshots.map(() => 2),
          ...piece.slots.map(() => 3),
        ]);
        expect(kinds).toEqual(kinds.toSorted((a, b) => a - b));
        for (const piece of pieces) {
          const rows = piece.manifests.length + piece.snapshots.length + piece.slots.length;
          expect(rows).toBeLessThanOrEqual(64);
          if (piece.manifests.length > 0) expect(piece.pack).toBe(sentence.pack);
        }
        expect(pieces.length).toBe(Math.max(1, Math.ceil((manifests + snapshots + slots) / 64)));
      }),
    );
  });

  test('of a replacement are all of it, and packs go when nothing is in them any more', () => {
    fc.assert(
      fc.property(count, count, count, count, (moved, gone, manifests, packs) => {
        const replacement = {
          pack: { name: 'p', sizeBytes: 1 },
          segments: Array.from({ length: moved }, (_, number) => {
            return { number, identity: none, local: number, pages: 1, frameBytes: 1 };
          }),
          goneSegments: Array.from({ length: gone }, (_, i) => moved + i),
          manifests: names('m', manifests),
          packs: names('q', packs),
        };
        const pieces = [...replacementPieces(replacement)];
        expect(pieces.flatMap((piece) => piece.segments)).toEqual(replacement.segments);
        expect(pieces.flatMap((piece) => piece.goneSegments)).toEqual(replacement.goneSegments);
        expect(pieces.flatMap((piece) => piece.manifests)).toEqual(replacement.manifests);
        expect(pieces.flatMap((piece) => piece.packs)).toEqual(replacement.packs);
        const first = pieces.findIndex((piece) => piece.packs.length > 0);
        for (const piece of first < 0 ? [] : pieces.slice(first + 1)) {
          expect([...piece.segments, ...piece.goneSegments, ...piece.manifests]).toEqual([]);
        }
        for (const piece of pieces) expect(piece.pack).toBe(replacement.pack);
      }),
    );
  });

  test('of a list are all of it', () => {
    const list = names('a', 200);
    expect([...piecesOf(list)].flat()).toEqual(list);
    expect([...piecesOf([])]).toEqual([]);
    expect(Math.max(...[...piecesOf(list)].map((piece) => piece.length))).toBe(64);
  });
});
