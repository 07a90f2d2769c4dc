/**
 * What a handle remembers of the catalog, brought up to date at the beginning of every operation:
 * segments that have come, and, when the generation is another one, where all of them are now and
 * which slots are condemned.
 */
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { readPackNames } from './read-in-pieces.ts';

/** Makes what is remembered as new as the catalog. @throws StoreError CORRUPT. */
export function refreshView(context: StoreContext): void {
  const { catalog, segments, condemned, pagesCache, packs } = context;
  const { generation } = catalog;
  if (generation === segments.generation) {
    segments.refresh();
    return;
  }
  // First what forbids: if this fails, the next operation does it again.
  condemned.load();
  pagesCache.clear();
  segments.reload(generation);
  // To read the names of 2,000 packs takes 10 ms, of which a new process has none open.
  if (!packs.isEmpty) packs.keepOnly(new Set(catalog.packs().map(({ name }) => name)));
}

/**
 * The same for collections, which do it often: reading where thousands of segments are takes tens
 * of milliseconds. Operations that begin meanwhile do it themselves.
 */
export async function refreshViewInPieces(context: StoreContext, pacer: Pacer): Promise<void> {
  const { catalog, segments, condemned, pagesCache, packs } = context;
  const { generation } = catalog;
  if (generation !== segments.generation) {
    await condemned.loadInPieces(pacer);
    await pacer.pause();
    const install = await segments.readInPieces(pacer);
    const names = await readPackNames(context, pacer);
    // Otherwise it is as new already, or what was read is too old.
    if (catalog.generation === generation && segments.generation !== generation) {
      pagesCache.clear();
      install?.(generation);
      packs.keepOnly(names);
    }
  }
  refreshView(context);
}
