/** `import`: a checkpoint archive of a container engine becomes a snapshot. */
import type { Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import { addLabel, parseTime } from './capture.ts';
import { withProgress } from './progress.ts';
import { formatSnapshot } from './snapshot-text.ts';
import { runOnStore, storeCommand, type StoreCommandOptions } from './store-command.ts';

interface ImportOptions extends StoreCommandOptions {
  readonly label?: ReadonlyMap<string, string>;
  readonly parent?: string;
  readonly takenAt?: Date;
}

/** The command. */
export function importCommand(signal: AbortSignal): Command {
  return storeCommand('import', 'store a checkpoint of podman, CRI-O, containerd, Docker or runc')
    .argument('<timeline>', 'name of the timeline, made by its first capture')
    .argument('<archive>', 'the archive (tar, gzip or zstd), a directory, or - for standard input')
    .option('--label <key=value>', 'remember this with the snapshot (repeatable)', addLabel)
    .option('--parent <snapshot>', "continue from this one, not from the timeline's newest")
    .option('--taken-at <time>', 'when the container was frozen, in ISO 8601 (now)', parseTime)
    .addHelpText('after', '\nThe store is made when there is none.')
    .action(async (timeline: string, archive: string, options: ImportOptions) => {
      const { parent, takenAt } = options;
      const about = { parent, takenAt, labels: Object.fromEntries(options.label ?? []) };
      const work = async (store: SnapshotStore) => {
        const input = archive === '-' ? process.stdin : archive;
        const snapshot = await withProgress((onProgress) =>
          store.timeline(timeline).import(input, { ...about, signal, onProgress }),
        );
        return { document: snapshot, lines: [formatSnapshot(snapshot)] };
      };
      // This process captures only once.
      await runOnStore(options, work, { create: true, warmBytes: 0 });
    });
}
