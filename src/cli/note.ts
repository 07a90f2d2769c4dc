/** `note`: attaches a text to a snapshot. */
import type { Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import {
  runOnStore,
  SNAPSHOT_ARGUMENT,
  storeCommand,
  type StoreCommandOptions,
} from './store-command.ts';

/** The command. */
export function noteCommand(signal: AbortSignal): Command {
  return storeCommand('note', 'attach a text to a snapshot, in place of the one before')
    .argument(...SNAPSHOT_ARGUMENT)
    .argument('<text>', "the text; '' takes the one before away")
    .action(async (reference: string, text: string, options: StoreCommandOptions) => {
      const note = async (store: SnapshotStore) => {
        const snapshot = store.snapshot(reference);
        await snapshot.note(text, { signal });
        const done = text === '' ? 'no longer noted' : 'noted';
        const line = `${snapshot.id}  ${snapshot.timeline}@${snapshot.sequence}  ${done}`;
        return { document: snapshot, lines: [line] };
      };
      await runOnStore(options, note, {});
    });
}
