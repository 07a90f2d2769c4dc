/** `capture`: stores an image directory as the next snapshot of a timeline. */
import { InvalidArgumentError, type Command } from 'commander';
import type { SnapshotStore } from '../index.ts';
import { withProgress } from './progress.ts';
import { formatSnapshot } from './snapshot-text.ts';
import { runOnStore, storeCommand, type StoreCommandOptions } from './store-command.ts';

interface CaptureOptions extends StoreCommandOptions {
  readonly label?: ReadonlyMap<string, string>;
  readonly parent?: string;
  readonly takenAt?: Date;
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** The command. */
export function captureCommand(signal: AbortSignal): Command {
  return storeCommand('capture', 'store an image directory that `criu dump` wrote as a snapshot')
    .argument('<timeline>', 'name of the timeline, made by its first capture')
    .argument('<image-dir>', 'the image directory; it may be deleted afterwards')
    .option('--label <key=value>', 'remember this with the snapshot (repeatable)', addLabel)
    .option('--parent <snapshot>', "continue from this one, not from the timeline's newest")
    .option('--taken-at <time>', 'when the container was frozen, in ISO 8601 (now)', parseTime)
    .addHelpText('after', '\nThe store is made when there is none.')
    .action(async (timeline: string, images: string, options: CaptureOptions) => {
      const { parent, takenAt } = options;
      const source = { images, parent, takenAt, labels: Object.fromEntries(options.label ?? []) };
      const capture = async (store: SnapshotStore) => {
        const snapshot = await withProgress((onProgress) =>
          store.timeline(timeline).capture(source, { signal, onProgress }),
        );
        return { document: snapshot, lines: [formatSnapshot(snapshot)] };
      };
      // This process captures only once.
      await runOnStore(options, capture, { create: true, warmBytes: 0 });
    });
}

function addLabel(text: string, previous: ReadonlyMap<string, string> = new Map()) {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('A label is KEY=VALUE.');
  const key = text.slice(0, equals);
  if (previous.has(key)) throw new InvalidArgumentError(`There are two labels '${key}'.`);
  return new Map([...previous, [key, text.slice(equals + 1)]]);
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (ISO_TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('A time is like 2026-11-21T10:00:00Z.');
}
