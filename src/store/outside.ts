/** Keeps what callers ask for out of the store's own directories. */
import { dirname, resolve } from 'node:path';
import { exists } from '../files/transfer.ts';
import type { StoreContext } from './context.ts';

/**
 * What stands in the store's own directories is taken for the store's own, and may be cleared.
 *
 * @throws TypeError for a path inside the store.
 */
export function checkOutside({ files, layout }: StoreContext, target: string): void {
  const parent = dirname(resolve(target));
  if (!exists(files, parent)) return;
  const isInside = `${files.realpath(parent)}/`.startsWith(`${layout.directory}/`);
  if (isInside) throw new TypeError('the target is inside the store');
}
