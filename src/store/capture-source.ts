/** What a capture is given: checked, and brought into the one form that the manifest keeps. */
import { MAX_LABELS, MAX_TEXT_BYTES } from '../manifest/manifest.ts';
import { now } from './clock.ts';

/** What to capture. */
export interface CaptureSource {
  /** Path of the image directory that `criu dump` wrote. */
  readonly images: string;
  /** When the container was frozen; now, unless given. No image holds wall-clock time. */
  readonly takenAt?: Date | undefined;
  /** What the caller wants to remember; part of the snapshot's digest. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The snapshot to continue from, or its id or name; the timeline's newest, unless given. */
  readonly parent?: string | { readonly id: string } | undefined;
}

/** A source without what has to be read from disk. */
export interface CheckedSource {
  readonly takenAtMs: number;
  /** Keys ascending by their bytes: one set of labels has one form. */
  readonly labels: readonly (readonly [string, string])[];
}

/** @throws TypeError, RangeError. */
export function checkSource(source: CaptureSource): CheckedSource {
  if (typeof source?.images !== 'string' || source.images === '') {
    throw new TypeError('images is the path of a directory');
  }
  const takenAtMs = takenAtOf(source.takenAt);
  return { takenAtMs, labels: canonicalLabels(source.labels ?? {}) };
}

function takenAtOf(takenAt: Date | undefined): number {
  if (takenAt === undefined) return now();
  const milliseconds = takenAt instanceof Date ? takenAt.getTime() : Number.NaN;
  if (Number.isNaN(milliseconds)) throw new TypeError('takenAt is not a valid Date');
  return milliseconds;
}

function canonicalLabels(labels: Readonly<Record<string, string>>): [string, string][] {
  const pairs = Object.entries(labels);
  if (pairs.length > MAX_LABELS) throw new RangeError(`more than ${MAX_LABELS} labels`);
  for (const [key, value] of pairs) {
    if (typeof value !== 'string') throw new TypeError(`label '${key}' is not a string`);
    const longest = Math.max(Buffer.byteLength(key), Buffer.byteLength(value));
    if (key === '' || longest > MAX_TEXT_BYTES) {
      throw new RangeError(`label '${key}' is empty or longer than ${MAX_TEXT_BYTES} bytes`);
    }
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new TypeError(`label '${key}' is not well-formed text`);
    }
  }
  return pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
