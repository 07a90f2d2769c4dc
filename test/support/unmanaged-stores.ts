/**
 * How tests open stores: with as many worker threads as CRIU_TIMELINE_WORKERS says, none unless it
 * does. A store with workers costs a test half a second, because they start from TypeScript.
 */
import { SnapshotStore, type OpenOptions } from '../../src/index.ts';

/** Worker threads of a store that does not ask for another number. */
export const TEST_WORKERS: number = Number(process.env['CRIU_TIMELINE_WORKERS'] ?? 0);

/** Opens a store; whoever asked for it closes it. */
export async function openUnmanaged(
  path: string,
  options: OpenOptions = {},
): Promise<SnapshotStore> {
  return await SnapshotStore.open(path, { workers: TEST_WORKERS, ...options });
}
