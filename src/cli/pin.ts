/** `pin`: keeps a snapshot whatever policies say, or no longer does so. */
import type { Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import {
  runOnStore,
  SNAPSHOT_ARGUMENT,
  storeCommand,
  type StoreCommandOptions,
} from './store-command.ts';

interface PinCommandOptions extends StoreCommandOptions {
  readonly off?: boolean;
}

/** The command. */
export function pinCommand(signal: AbortSignal): Command {
  return storeCommand('pin', 'keep a snapshot whatever `prune` is told')
    .argument(...SNAPSHOT_ARGUMENT)
    .option('--off', 'pin it no longer')
    .action(async (reference: string, options: PinCommandOptions) => {
      const { off = false } = options;
      const pin = async (store: SnapshotStore) => {
        const snapshot = store.snapshot(reference);
        await snapshot.pin(!off, { signal });
        const done = off ? 'no longer pinned' : 'pinned';
        const line = `${snapshot.id}  ${snapshot.timeline}@${snapshot.sequence}  ${done}`;
        return { document: snapshot, lines: [line] };
      };
      await runOnStore(options, pin, {});
    });
}
