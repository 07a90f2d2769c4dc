/** `undelete`: takes that mark back. */
import type { Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import {
  runOnStore,
  SNAPSHOT_ARGUMENT,
  storeCommand,
  type StoreCommandOptions,
} from './store-command.ts';

/** The command. */
export function undeleteCommand(signal: AbortSignal): Command {
  return storeCommand('undelete', 'take the mark of a removed snapshot back')
    .argument(...SNAPSHOT_ARGUMENT)
    .action(async (reference: string, options: StoreCommandOptions) => {
      const undelete = async (store: SnapshotStore) => {
        const snapshot = store.snapshot(reference);
        await snapshot.undelete({ signal });
        const line = `${snapshot.id}  ${snapshot.timeline}@${snapshot.sequence}  undeleted`;
        return { document: snapshot, lines: [line] };
      };
      await runOnStore(options, undelete, {});
    });
}
