/**
 * Packs that the catalog does not know: of a capture that was killed before its commit, or all that
 * is left when a catalog was lost. Nothing but a repair touches them.
 */
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { isRegularFile, pathsInPacks } from './pack-files.ts';
import { readPackNames } from './read-in-pieces.ts';

/** Their paths, and those of all other files in packs/. */
export function unknownPacks(context: StoreContext): string[] {
  const paths = [...pathsInPacks(context.files, context.layout)];
  // After the files: a capture may commit meanwhile, a collection retire.
  const names = context.catalog.packs().map(({ name }) => name);
  return unknownAmong(context, paths, names);
}

/** The same, with pauses. @throws StoreError CORRUPT when a row of a pack is damaged. */
export async function findUnknownPacks(context: StoreContext, pacer: Pacer): Promise<string[]> {
  const paths: string[] = [];
  for (const path of pathsInPacks(context.files, context.layout)) {
    paths.push(path);
    await pacer.pause();
  }
  return unknownAmong(context, paths, await readPackNames(context, pacer));
}

function unknownAmong(
  { files, layout, catalog }: StoreContext,
  paths: readonly string[],
  names: Iterable<string>,
): string[] {
  // The last: a pack that is retired has been among the others.
  const retired = catalog.collections.retired().map(({ name }) => name);
  const known = new Set([...names, ...retired].map((name) => layout.packFile(name)));
  return paths.filter((path) => !known.has(path) && isRegularFile(files, path));
}
