/**
 * Packs that the catalog does not know: of a capture that was killed before its commit, or all that
 * is left when a catalog was lost. Nothing but a repair touches them.
 */
import type { StoreContext } from './context.ts';
import { isRegularFile, pathsInPacks } from './pack-files.ts';

/** Their paths, and those of all other files in packs/. */
export function unknownPacks({ files, layout, catalog }: StoreContext): string[] {
  const paths = [...pathsInPacks(files, layout)];
  // After the files: a capture may commit meanwhile, a collection retire.
  const names = [...catalog.packs(), ...catalog.collections.retired()].map(({ name }) => name);
  const known = new Set(names.map((name) => layout.packFile(name)));
  return paths.filter((path) => !known.has(path) && isRegularFile(files, path));
}
