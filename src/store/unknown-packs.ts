/**
 * Packs that the catalog does not know: of a capture that was killed before its commit, or all that
 * is left when a catalog was lost. Nothing but a repair touches them.
 */
import { join } from 'node:path';
import type { StoreContext } from './context.ts';

/** Their paths, and those of whatever else is in packs/. */
export function unknownPacks({ files, layout, catalog }: StoreContext): string[] {
  const paths = files
    .list(layout.packs)
    .map((name) => join(layout.packs, name.toString()))
    .flatMap((parent) => files.list(parent).map((name) => join(parent, name.toString())));
  // After the files: a capture may commit meanwhile, a collection retire.
  const names = [...catalog.packs(), ...catalog.collections.retired()].map(({ name }) => name);
  const known = new Set(names.map((name) => layout.packFile(name)));
  return paths.filter((path) => !known.has(path));
}
