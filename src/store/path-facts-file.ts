/**
 * What captures remember of the paths of a tree, in cache/, one file for a timeline's newest
 * snapshot: see tree/path-facts.ts. Never needed, so nothing here is synced, and no failure here
 * fails anything.
 */
import { join } from 'node:path';
import { AppendFile } from '../files/append-file.ts';
import { exists } from '../files/transfer.ts';
import { sealFacts } from '../tree/path-facts.ts';
import { writableStaging, type StoreContext } from './context.ts';
import { cacheFile, cacheNamesOf } from './heads.ts';

const SUFFIX = '.facts';

/** The path of what is remembered of a snapshot's tree, if anything is. */
export function findFacts(context: StoreContext, timeline: string, id: string): string | undefined {
  const path = cacheFile(context, timeline, id, SUFFIX);
  return exists(context.files, path) ? path : undefined;
}

/** Keeps the facts of a new snapshot, instead of those of older ones of the timeline. */
export function publishFacts(
  context: StoreContext,
  facts: Uint8Array,
  of: { readonly timeline: string; readonly id: string; readonly snapshotId: Uint8Array },
): void {
  const { files } = context;
  try {
    sealFacts(facts, of.snapshotId);
    const staged = writableStaging(context).newPath(SUFFIX);
    const file = new AppendFile(files, staged);
    try {
      file.write(facts);
      file.flush();
    } finally {
      file.close();
    }
    const path = cacheFile(context, of.timeline, of.id, SUFFIX);
    files.rename(staged, path);
    for (const name of cacheNamesOf(context, of.timeline, SUFFIX)) {
      const old = join(context.layout.cache, name);
      if (old !== path) files.unlink(old);
    }
  } catch {
    // A capture is worth more than what the next one is spared; closing clears the staging.
  }
}
