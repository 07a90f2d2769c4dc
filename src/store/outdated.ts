/**
 * Handles that are open for reading see the catalog as it was then, and nobody waits for them: what
 * a collection has moved or taken away since is missing, and is not damaged. Whoever meets damage
 * on such a handle asks here first.
 */
import { join } from 'node:path';
import { readGeneration } from '../catalog/generation.ts';
import { StoreError } from '../errors.ts';
import { copyStable } from '../files/copy-stable.ts';
import type { StoreContext } from './context.ts';
import { catalogFilesTo } from './open-store.ts';

/**
 * @throws StoreError INCOMPLETE when a collection has changed the store since it was opened for
 * reading.
 */
export function checkIsUpToDate(context: StoreContext): void {
  if (isOutdated(context)) throw outdated(context, undefined);
}

/** The error of an operation, unless it is of a handle that is out of date. */
export function explainDamage(context: StoreContext, error: unknown): unknown {
  const isCorrupt = error instanceof StoreError && error.code === 'CORRUPT';
  return isCorrupt && isOutdated(context) ? outdated(context, error) : error;
}

function outdated({ layout }: StoreContext, cause: unknown): StoreError {
  const what = 'a collection has changed the store since it was opened for reading: open it again';
  return new StoreError('INCOMPLETE', what, { file: layout.directory, cause });
}

function isOutdated(context: StoreContext): boolean {
  if (context.staging !== undefined) return false;
  try {
    const generation = generationNow(context);
    return generation !== undefined && generation !== context.catalog.generation;
  } catch {
    // What cannot be known is no excuse for damage, and must not take its place.
    return false;
  }
}

function generationNow({ files, layout }: StoreContext): number | undefined {
  const copy = files.makeTemporaryDirectory('criu-timeline-');
  try {
    const file = join(copy, 'catalog.sqlite');
    copyStable(files, catalogFilesTo(layout, file));
    return readGeneration(file);
  } finally {
    files.removeTree(copy);
  }
}
