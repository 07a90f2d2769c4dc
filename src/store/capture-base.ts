/**
 * What a capture compares its pages with: the snapshot that it continues. A base that cannot be
 * read is no base: the damage is reported, and everything is stored as if it were new.
 */
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, storageError } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { exists, isMissing } from '../files/transfer.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import type { PackSet } from '../pack/pack-set.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { findHead } from './heads.ts';
import type { SegmentDirectory } from './segment-directory.ts';
import { findPages, type StoredSnapshot } from './snapshot-pages.ts';

/** The snapshot that a capture is compared with. */
export interface CaptureBase {
  readonly snapshot: StoredSnapshot;
  /** Path of its head, if it has one. */
  readonly head: string | undefined;
  /** Whether packs are other files than they were: what is remembered of them is not believed. */
  readonly hasChanged: boolean;
}

/** Reads what is needed of a snapshot; undefined when it is damaged. */
export async function loadBase(
  context: StoreContext,
  row: SnapshotRow,
  pacer: Pacer,
): Promise<CaptureBase | undefined> {
  try {
    const snapshot = await findPages(context, row, pacer);
    confirmManifests(context, snapshot);
    const hasChanged = confirmPacks(context, snapshot);
    return { snapshot, head: findHead(context, row.timelineName, row.id), hasChanged };
  } catch (error) {
    // A capture never fails because old data is damaged.
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/**
 * What is remembered of a snapshot says nothing about the disk: the recipes of a capture differ
 * from those of its base only if that one's manifests are all still there.
 */
function confirmManifests({ files, layout, packs }: StoreContext, { chain }: StoredSnapshot): void {
  for (const { packName, manifestDigest } of chain) {
    // A pack that is open can still be read when it has been taken away.
    if (!exists(files, layout.packFile(packName))) packs.forget(packName);
    packs.reader(packName).readManifest(manifestDigest);
  }
}

/**
 * Looks at the packs that the base needs, and says which of them are gone: a page that is the same
 * by its digest is never read, and would be referred to although nobody has it any more.
 *
 * @returns whether any of them is another file than it was.
 */
function confirmPacks(context: StoreContext, base: StoredSnapshot): boolean {
  const { layout, packs, packFacts, segments } = context;
  const { table } = segments;
  let hasChanged = false;
  const numbers = new Set(base.files.flatMap(({ runs }) => [...new Set(runs.segment)]));
  numbers.delete(ZERO_SEGMENT);
  const waiting = [...numbers].map((number) => table.packName(number));
  const seen = new Set<string>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const file = layout.packFile(name);
    const facts = factsOf(context.files, file);
    if (facts === undefined) {
      packs.lostFrames.report({ file, offset: WHOLE_PACK });
      continue;
    }
    if (packFacts.hasChanged(name, facts)) {
      packs.forget(name);
      hasChanged = true;
    }
    // What delta pages stand on may be in other packs, which a pack refers to.
    for (const number of referencedSegments(packs, segments, name)) {
      waiting.push(table.packName(number));
    }
  }
  return hasChanged;
}

function factsOf(files: Files, path: string): FileFacts | undefined {
  try {
    return files.lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw storageError('look at', path, error);
  }
}

/** The segments that a pack refers to; a pack that is damaged has been reported by its set. */
function referencedSegments(packs: PackSet, segments: SegmentDirectory, name: string): number[] {
  try {
    const { references } = packs.reader(name).footer;
    return references.map((identity) => segments.find(identity)).filter((number) => number > 0);
  } catch (error) {
    if (isDamage(error)) return [];
    throw error;
  }
}
