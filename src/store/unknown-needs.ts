/**
 * What packs need that the catalog does not know. They may hold acknowledged snapshots, of a
 * catalog that was replaced by an older copy of itself: until a repair adopts them, or finds that
 * nothing is in them, whatever they refer to must stay. Generous where it is cheap: whole segments.
 */
import { StoreError } from '../errors.ts';
import { idToText } from '../bytes/id.ts';
import { sameBytes } from '../bytes/hex.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import { decodeManifest } from '../manifest/manifest.ts';
import { openPack } from '../pack/pack-set.ts';
import type { PackReader } from '../pack/reader.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import type { TimeLimit } from './time-limit.ts';
import { findUnknownPacks } from './unknown-packs.ts';

/** What must stay. */
export interface UnknownNeeds {
  /** Identities of segments, all of their slots. */
  readonly segments: readonly Uint8Array[];
  /** Ids of snapshots that recipes differ from. */
  readonly bases: ReadonlySet<string>;
}

/** Looks into the packs that the catalog does not know; what is damaged there says nothing. */
export async function findUnknownNeeds(
  context: StoreContext,
  rows: readonly SnapshotRow[],
  pacer: Pacer,
  time: TimeLimit,
): Promise<UnknownNeeds> {
  const segments: Uint8Array[] = [];
  const bases = new Set<string>();
  const gone = new Set(context.catalog.collections.tombstones());
  const known = new Map(rows.map((row) => [row.id, row]));
  const descriptors = new DescriptorPool(context.files, 1);
  try {
    for (const path of await findUnknownPacks(context, pacer)) {
      time.check();
      try {
        const reader = openPack(context.files, descriptors, context.zstd, path);
        for (const digest of strangeManifests(reader, known, gone)) {
          const manifest = decodeManifest(reader.readManifest(digest), path);
          for (const identity of manifest.segments) segments.push(identity);
          for (const identity of reader.footer.references) segments.push(identity);
          if (manifest.base !== undefined) bases.add(idToText(manifest.base.id));
          await pacer.pause();
        }
      } catch (error) {
        // What cannot be read now may be read later: nothing may go for that.
        if (!(error instanceof StoreError) || error.code !== 'CORRUPT') throw error;
      }
      await pacer.pause();
    }
  } finally {
    descriptors.close();
  }
  return { segments, bases };
}

/** Digests of manifests that the catalog neither has nor has let go of. */
function strangeManifests(
  { footer }: PackReader,
  known: ReadonlyMap<string, SnapshotRow>,
  gone: ReadonlySet<string>,
): Uint8Array[] {
  const digests: Uint8Array[] = [];
  for (const entry of footer.entries) {
    if (entry.type !== 'manifest' || entry.part > 0) continue;
    const id = idToText(entry.snapshotId);
    const row = known.get(id);
    const isKnown = row !== undefined && sameBytes(row.manifestDigest, entry.digest);
    if (!isKnown && !gone.has(id)) digests.push(entry.digest);
  }
  return digests;
}
