/**
 * A first look at a dump: whether it needs a parent, and which one it was, as far as can be told.
 */
import type { Files } from '../files/files.ts';
import { readLevelAt, spacesWithParent } from './level.ts';
import { IMAGE_LIMITS } from './limits.ts';
import { shownText } from './listing.ts';
import { linkedDump, readParentLink } from './parent-link.ts';

/** What there is to choose the parent of a dump by. */
export interface ParentPeek {
  /** Whether any page is in the parent. */
  readonly needsParent: boolean;
  /** What the `parent` link says; undefined without one. */
  readonly linkTarget: string | undefined;
  /** CRIU's id of the dump that the link leads to now, if it does and there is one. */
  readonly parentRunId: string | undefined;
  /** Uptime at the dump that the link leads to now, if it does and it is known. */
  readonly parentUptimeUs: bigint | undefined;
}

/**
 * Reads the pagemaps and the inventory of a directory, and the inventory of its parent where the
 * link leads to one. A link that leads nowhere is no error here.
 *
 * @throws {StoreError} as {@link openImageDirectory} does for the directory itself.
 */
export function peekParent(files: Files, path: string): ParentPeek {
  const top = readLevelAt({ files, limits: IMAGE_LIMITS }, path);
  const { parentLink } = top;
  const linked = linkedDump(files, top);
  return {
    needsParent: spacesWithParent(top).length > 0,
    linkTarget: parentLink && shownText(readParentLink(files, parentLink)),
    parentRunId: linked?.criuRunId,
    parentUptimeUs: linked?.dumpUptimeUs,
  };
}
