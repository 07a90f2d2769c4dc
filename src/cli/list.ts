/** `list`: the snapshots of one timeline or of all. */
import type { Command } from 'commander';
import { StoreError, type SnapshotStore, type Timeline } from '../index.ts';
import { formatSnapshots } from './snapshot-text.ts';
import { readingCommand, runOnStore, type ReadingCommandOptions } from './store-command.ts';

interface ListCommandOptions extends ReadingCommandOptions {
  readonly removed?: boolean;
}

/** The command. */
export function listCommand(): Command {
  return readingCommand('list', 'list the snapshots of a timeline, or of all')
    .argument('[timeline]', 'name of a timeline')
    .option('--removed', 'the snapshots that are marked as removed, instead of the others')
    .action(async (name: string | undefined, options: ListCommandOptions) => {
      await runOnStore(options, (store) => {
        const timelines = chooseTimelines(store, name).map((timeline) => ({
          name: timeline.name,
          snapshots: timeline.list({ removed: options.removed }),
        }));
        const lines = timelines.flatMap(({ name, snapshots }, index) => [
          ...(index === 0 ? [] : ['']),
          name,
          ...(snapshots.length === 0 ? ['(no snapshots)'] : formatSnapshots(snapshots)),
        ]);
        return { document: { timelines }, lines: lines.length === 0 ? ['(no timelines)'] : lines };
      });
    });
}

/** All timelines, or the one of this name. @throws StoreError NOT_FOUND. */
export function chooseTimelines(store: SnapshotStore, name: string | undefined): Timeline[] {
  if (name === undefined) return store.timelines();
  const { name: wanted } = store.timeline(name);
  const timeline = store.timelines().find((known) => known.name === wanted);
  if (timeline !== undefined) return [timeline];
  throw new StoreError('NOT_FOUND', `no timeline is called '${wanted}'`);
}
