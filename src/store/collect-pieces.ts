/**
 * What a collection writes to the catalog, in pieces, each a transaction of some milliseconds: the
 * thread is not held up by thousands of rows, nor is another process that writes. A store is whole
 * after each piece, and whoever is killed in between has only done less.
 */
import type { Replacement, Sentence } from '../catalog/collection-table.ts';

/** Rows of one piece: 120 us each, where there are 2,000 snapshots. */
const ROWS = 64;

/**
 * Manifests first: then nothing differs any more from what is condemned. Slots last: nobody may
 * undelete what they were of.
 */
export function* sentencePieces(sentence: Sentence): Generator<Sentence> {
  const { manifests, snapshots, slots } = sentence;
  for (const [piece, isFirst] of windows(manifests.length + snapshots.length + slots.length)) {
    const ownManifests = piece(manifests);
    const rest = { snapshots: piece(snapshots), slots: piece(slots) };
    if (isFirst) yield { ...sentence, manifests: ownManifests, ...rest };
    else {
      const pack = ownManifests.length > 0 ? sentence.pack : undefined;
      const told = { lostFrames: [], statesChanged: undefined };
      yield { pack, manifests: ownManifests, ...rest, ...told };
    }
  }
}

/** Packs are let go of last: then nothing is in them any more. */
export function* replacementPieces(replacement: Replacement): Generator<Replacement> {
  const { segments, goneSegments, manifests, packs } = replacement;
  const total = segments.length + goneSegments.length + manifests.length + packs.length;
  for (const [piece] of windows(total)) {
    const moved = { segments: piece(segments), goneSegments: piece(goneSegments) };
    yield { ...replacement, ...moved, manifests: piece(manifests), packs: piece(packs) };
  }
}

/** Lists in pieces. */
export function* piecesOf<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += ROWS) yield list.slice(start, start + ROWS);
}

type Take = <T>(list: readonly T[]) => readonly T[];

/** Cuts several lists, one after the other, as if they were one; at least one piece. */
function* windows(total: number): Generator<readonly [take: Take, isFirst: boolean]> {
  for (let start = 0; start === 0 || start < total; start += ROWS) {
    let before = 0;
    const take: Take = (list) => {
      const first = start - before;
      before += list.length;
      return list.slice(Math.max(0, first), Math.max(0, first + ROWS));
    };
    yield [take, start === 0];
  }
}
