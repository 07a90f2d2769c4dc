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
  readonly files?: string;
  readonly hostFile?: readonly string[];
  readonly acceptChanges?: boolean;
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** The command. */
export function captureCommand(signal: AbortSignal): Command {
  return storeCommand('capture', 'store an image directory that `criu dump` wrote as a snapshot')
    .argument('<timeline>', 'name of the timeline, made by its first capture')
    .argument('<image-dir>', 'the image directory; it may be deleted afterwards')
    .option('--files <dir>', "the container's files: the overlay's upper directory")
    .option('--host-file <path>', "one more of the host's files to leave out (repeatable)", addPath)
    .option('--accept-changes', 'keep files that change while they are read, as they were read')
    .option('--label <key=value>', 'remember this with the snapshot (repeatable)', addLabel)
    .option('--parent <snapshot>', "continue from this one, not from the timeline's newest")
    .option('--taken-at <time>', 'when the container was frozen, in ISO 8601 (now)', parseTime)
    .addHelpText('after', '\nThe store is made when there is none.')
    .action(async (timeline: string, images: string, options: CaptureOptions) => {
      const { parent, takenAt, files, hostFile: hostFiles, acceptChanges } = options;
      const labels = Object.fromEntries(options.label ?? []);
      const source = { images, files, hostFiles, acceptChanges, parent, takenAt, labels };
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

/** Collects the values of an option that may be given again and again. */
export function addPath(path: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, path];
}

/** Collects labels. */
export function addLabel(
  text: string,
  previous?: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const words = { form: 'A label is KEY=VALUE.', plural: 'labels' };
  return addPair(text, words, previous);
}

/** Collects pairs of something and what belongs to it; `words` say what they are called. */
export function addPair(
  text: string,
  words: { readonly form: string; readonly plural: string },
  previous: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError(words.form);
  const key = text.slice(0, equals);
  if (previous.has(key)) throw new InvalidArgumentError(`There are two ${words.plural} '${key}'.`);
  return new Map([...previous, [key, text.slice(equals + 1)]]);
}

/** A time in ISO 8601. */
export function parseTime(text: string): Date {
  const time = new Date(text);
  if (ISO_TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('A time is like 2026-11-21T10:00:00Z.');
}
