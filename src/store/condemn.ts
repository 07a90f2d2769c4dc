/**
 * The first half of a collection: what no snapshot needs is condemned, in as many transactions as
 * it takes, and from then on nothing new refers to it. Before that, a pack is published with the
 * states of snapshots, and with the manifests of those whose recipes differed from what is removed.
 */
import { sha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { idToText } from '../bytes/id.ts';
import type { CondemnedSlots, RewrittenManifest, Sentence } from '../catalog/collection-table.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { encodeManifest } from '../manifest/manifest.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import { encodeSlotSet, SlotSet } from '../pack/slot-set.ts';
import type { States } from '../pack/states.ts';
import type { Pacer } from './clock.ts';
import { sentencePieces } from './collect-pieces.ts';
import type { StoreContext } from './context.ts';
import { publishPack } from './publish.ts';
import { rewriteManifest } from './rewrite-manifest.ts';
import { findPages } from './snapshot-pages.ts';
import { StagedPack } from './staged-pack.ts';
import { areTold, statesBlock } from './states-block.ts';
import type { PackSurvey } from './survey.ts';

/** What is to be condemned. */
export interface Condemnation {
  /** Every snapshot of the catalog. */
  readonly rows: readonly SnapshotRow[];
  /** Those of which everything is needed. */
  readonly kept: readonly SnapshotRow[];
  /** Those of them whose recipes differ from what is not kept. */
  readonly differing: readonly SnapshotRow[];
  readonly packs: readonly PackSurvey[];
  /** Names of packs that go as a whole, since nobody can list their slots. */
  readonly unreadable: readonly string[];
  /** The newest states in packs. */
  readonly states: States | undefined;
  /** As it was when the rows were read. */
  readonly statesChanged: number;
}

/** What has been condemned. */
export interface CondemnReport {
  /** Of the pack that was written, if one was. */
  readonly writtenBytes: number;
  /** How many snapshots can no longer be undeleted. */
  readonly snapshots: number;
  /** False when a snapshot was undeleted meanwhile: the rest waits for another look. */
  readonly isDone: boolean;
}

/** Condemns, if there is anything to condemn or to tell. */
export async function condemn(
  context: StoreContext,
  what: Condemnation,
  pacer: Pacer,
  signal: AbortSignal | undefined,
): Promise<CondemnReport> {
  const { rows, kept, differing, statesChanged } = what;
  const snapshots = condemnable(rows, kept);
  const keptIds = new Set(kept.map(({ id }) => id));
  const slots = await changedSlots(context, what.packs, pacer);
  // On record even if they are already: whoever began before that is waited for.
  const lostFrames = what.unreadable.map((pack) => ({ pack, offset: WHOLE_PACK }));
  const ids = snapshots.map(({ id }) => id);
  const isStated = statesChanged > 0 || ids.length > 0 || !areTold(context, rows, what.states);
  const judge = new Judge(context, signal, pacer);
  if (!isStated && differing.length === 0) {
    const pack = undefined;
    const sentence = { pack, manifests: [], snapshots: ids, slots, lostFrames, statesChanged };
    if (slots.length + lostFrames.length > 0) await judge.condemn(sentence);
    return { writtenBytes: 0, snapshots: 0, isDone: true };
  }
  const staged = new StagedPack(context);
  try {
    const isBase = (id: string) => keptIds.has(id);
    const manifests = await writeManifests(context, staged, { differing, isBase }, pacer);
    const generation = context.catalog.generation + 1;
    if (isStated) {
      await pacer.pause();
      staged.writer.addStates(statesBlock(context, rows, generation));
      await pacer.pause();
    }
    const pack = staged.seal();
    await pacer.pause();
    const sentence = { pack, manifests, snapshots: ids, slots, lostFrames, statesChanged };
    return await publishSentence(context, staged.path, sentence, judge);
  } catch (error) {
    staged.discard();
    throw error;
  }
}

/** The snapshots that can be undeleted, and no longer can be after a condemnation. */
export function condemnable(
  rows: readonly SnapshotRow[],
  kept: readonly SnapshotRow[],
): readonly SnapshotRow[] {
  const keptIds = new Set(kept.map(({ id }) => id));
  return rows.filter(({ id, removed, condemned }) => removed && !condemned && !keptIds.has(id));
}

async function publishSentence(
  context: StoreContext,
  path: string,
  sentence: Sentence & { readonly pack: NonNullable<Sentence['pack']> },
  judge: Judge,
): Promise<CondemnReport> {
  const { name, sizeBytes } = sentence.pack;
  const digests = sentence.manifests.map(({ digest }) => digest);
  const isCommitted = () => context.catalog.packs().some((pack) => pack.name === name);
  let isDone = true;
  try {
    await publishPack(
      context,
      { path, name, manifests: digests },
      () => judge.condemn(sentence),
      isCommitted,
    );
  } catch (error) {
    if (!(error instanceof Undeleted)) throw error;
    isDone = false;
  }
  const writtenBytes = judge.hasCondemned ? sizeBytes : 0;
  return { writtenBytes, snapshots: judge.snapshots, isDone };
}

/** A snapshot is no longer marked as removed. */
class Undeleted extends Error {}

/** Condemns piece by piece, and counts. */
class Judge {
  readonly #context: StoreContext;
  readonly #signal: AbortSignal | undefined;
  readonly #pacer: Pacer;
  hasCondemned = false;
  snapshots = 0;

  constructor(context: StoreContext, signal: AbortSignal | undefined, pacer: Pacer) {
    this.#context = context;
    this.#signal = signal;
    this.#pacer = pacer;
  }

  /** @throws Undeleted. */
  async condemn(sentence: Sentence): Promise<void> {
    for (const piece of sentencePieces(sentence)) {
      const generation = await this.#context.catalog.collections.condemn(piece, this.#signal);
      if (generation === undefined) throw new Undeleted();
      this.hasCondemned = true;
      this.snapshots += piece.snapshots.length;
      await this.#pacer.pause();
    }
  }
}

async function writeManifests(
  context: StoreContext,
  staged: StagedPack,
  {
    differing,
    isBase,
  }: { readonly differing: readonly SnapshotRow[]; readonly isBase: (id: string) => boolean },
  pacer: Pacer,
): Promise<RewrittenManifest[]> {
  const rewritten: RewrittenManifest[] = [];
  for (const row of differing) {
    const snapshot = await findPages(context, row, pacer);
    const manifest = await rewriteManifest(context, snapshot, isBase, pacer);
    const bytes = encodeManifest(manifest);
    const digest = sha256(bytes);
    const parts = staged.writer.addManifestParts({ ...manifest, digest, bytes });
    for (const _ of parts) await pacer.pause();
    const { revision, base } = manifest;
    rewritten.push({ id: row.id, digest, revision, baseId: base && idToText(base.id) });
  }
  return rewritten;
}

/** The sets of dead slots that are not what the catalog has; all, where that is damaged. */
async function changedSlots(
  context: StoreContext,
  packs: readonly PackSurvey[],
  pacer: Pacer,
): Promise<CondemnedSlots[]> {
  const { now } = context.condemned;
  const changed: CondemnedSlots[] = [];
  for (const { segments } of packs) {
    for (const { number, dead } of segments) {
      const slots = encodeSlotSet(dead);
      const known = encodeSlotSet(now.of(number) ?? new SlotSet());
      if (now.isDamaged || !sameBytes(slots, known)) changed.push({ segment: number, slots });
    }
    await pacer.pause();
  }
  return changed;
}
