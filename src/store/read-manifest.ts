/**
 * Reads the manifest of a snapshot from its pack, and checks it against the catalog: the bytes by
 * the manifest's digest, what they mean by the snapshot's.
 */
import { sameBytes } from '../bytes/hex.ts';
import { idToText } from '../bytes/id.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import { decodeManifest, type Manifest } from '../manifest/manifest.ts';
import { snapshotDigest } from '../manifest/snapshot-digest.ts';
import type { StoreContext } from './context.ts';

/** @throws StoreError CORRUPT when manifest and catalog disagree. */
export function readManifest(context: StoreContext, row: SnapshotRow): Manifest {
  const pack = context.packs.reader(row.packName);
  const manifest = decodeManifest(pack.readManifest(row.manifestDigest), pack.file);
  const isThisOne =
    idToText(manifest.snapshotId) === row.id &&
    manifest.timeline === row.timelineName &&
    manifest.sequence === row.sequence &&
    (manifest.parent && idToText(manifest.parent.id)) === row.parentId &&
    manifest.newPages === row.newPages &&
    manifest.revision === row.revision &&
    (manifest.base && idToText(manifest.base.id)) === row.baseId &&
    sameBytes(snapshotDigest(manifest), row.digest);
  if (isThisOne) return manifest;
  const place = { file: pack.file, snapshot: row.id };
  throw new StoreError('CORRUPT', 'manifest and catalog disagree', place);
}
