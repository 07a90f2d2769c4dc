/**
 * What a handle remembers of the catalog, brought up to date at the beginning of every operation:
 * segments that have come, and, when the generation is another one, where all of them are now and
 * which slots are condemned.
 */
import type { StoreContext } from './context.ts';

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
  packs.keepOnly(new Set(catalog.packs().map(({ name }) => name)));
}
