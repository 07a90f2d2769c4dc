/**
 * Checks that the tree of a snapshot holds together: that every record decodes, that its paths make
 * a tree, that every page of every file is there, and that no two files have the same one.
 */
import { StoreError, type ErrorPlace } from '../errors.ts';
import { NumberColumn } from '../tree/columns.ts';
import { orderOf, RunIndex } from '../tree/runs.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import type { StoredSnapshot } from './snapshot-pages.ts';
import { readTree, type SnapshotTree } from './stored-tree.ts';
import { TreeShape } from './tree-shape.ts';

/** Runs of pages, by their addresses. */
interface Pieces {
  readonly start: Float64Array;
  readonly length: Float64Array;
}

/** @throws StoreError CORRUPT. */
export async function checkTree(
  context: StoreContext,
  snapshot: StoredSnapshot,
  pacer: Pacer,
): Promise<void> {
  const tree = await readTree(context, snapshot, pacer);
  if (tree === undefined) return;
  const file = context.layout.packFile(snapshot.row.packName);
  const place = { file, snapshot: snapshot.row.id };
  const pieces = await readPieces(tree, place, pacer);
  const problem = findOverlap(tree, pieces);
  if (problem !== undefined) throw new StoreError('CORRUPT', problem, place);
}

/** Where the files of a tree have their pages; checks on the way that its paths make a tree. */
async function readPieces(
  { tree }: SnapshotTree,
  place: ErrorPlace,
  pacer: Pacer,
): Promise<Pieces> {
  const shape = new TreeShape();
  const start = new NumberColumn();
  const length = new NumberColumn();
  for (const cursor = tree.cursor(); cursor.next();) {
    const { path, body } = cursor;
    inPack(place, () => shape.add(path, body));
    const { extents } = body;
    for (let i = 0; i < extents.start.length; i++) {
      start.push(extents.start[i] as number);
      length.push(extents.length[i] as number);
    }
    await pacer.pause();
  }
  inPack(place, () => shape.checkTargets(tree.cursor()));
  return { start: start.values(), length: length.values() };
}

/** Errors about a path say in which pack it is. */
function inPack(place: ErrorPlace, check: () => void): void {
  try {
    check();
  } catch (cause) {
    if (!(cause instanceof StoreError) || cause.file === place.file) throw cause;
    const path = JSON.stringify(cause.file ?? '');
    throw new StoreError(cause.code, `${cause.summary}: ${path}`, { ...place, cause });
  }
}

function findOverlap({ runs, files }: SnapshotTree, pieces: Pieces): string | undefined {
  const index = new RunIndex(runs);
  let [end, pages] = [0, 0];
  for (const piece of orderOf(pieces)) {
    const [first, count] = [pieces.start[piece] as number, pieces.length[piece] as number];
    if (first < end) return 'two files of a tree have the same page';
    end = first + count;
    const page = index.find(first);
    const isThere = page >= 0 && index.find(end - 1) === page + count - 1;
    if (!isThere) return 'a tree refers to pages that its snapshot does not have';
    pages += count;
  }
  return pages === files.pageCount ? undefined : 'a snapshot has pages that no file has';
}
