/** `remove`: marks a snapshot as removed. */
import type { Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import {
  runOnStore,
  SNAPSHOT_ARGUMENT,
  storeCommand,
  type StoreCommandOptions,
} from './store-command.ts';

/** The command. */
export function removeCommand(signal: AbortSignal): Command {
  return storeCommand('remove', 'mark a snapshot as removed; others stay whole')
    .argument(...SNAPSHOT_ARGUMENT)
    .action(async (reference: string, options: StoreCommandOptions) => {
      const remove = async (store: SnapshotStore) => {
        const snapshot = store.snapshot(reference);
        await snapshot.remove({ signal });
        const line = `${snapshot.id}  ${snapshot.timeline}@${snapshot.sequence}  removed`;
        return { document: snapshot, lines: [line] };
      };
      await runOnStore(options, remove, {});
    });
}
