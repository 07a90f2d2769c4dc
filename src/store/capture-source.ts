/** What a capture is given: checked, and brought into the one form that the manifest keeps. */
import { MAX_LABELS, MAX_TEXT_BYTES } from '../manifest/manifest.ts';
import { now } from './clock.ts';

/** What to capture. */
export interface CaptureSource {
  /** Path of the image directory that `criu dump` wrote. */
  readonly images: string;
  /**
   * Path of the overlay's upper directory: the container's own files, of the same frozen moment. A
   * file whose inode and times are those of the snapshot before is not read.
   */
  readonly files?: string | undefined;
  /**
   * Paths in the container that belong to its host, and are left out: absolute, besides
   * {@link HOST_FILES}.
   */
  readonly hostFiles?: readonly string[] | undefined;
  /**
   * Whether a file that changes while it is read is kept as it was read, when it goes on changing.
   * Otherwise that is INCOMPLETE.
   */
  readonly acceptChanges?: boolean | undefined;
  /** When the container was frozen; now, unless given. No image holds wall-clock time. */
  readonly takenAt?: Date | undefined;
  /** What the caller wants to remember; part of the snapshot's digest. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The snapshot to continue from, or its id or name; the timeline's newest, unless given. */
  readonly parent?: string | { readonly id: string } | undefined;
}

/** Files that belong to the host of a container: left out of every capture. */
export const HOST_FILES: readonly string[] = [
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
  '/run/.containerenv',
  '/.dockerenv',
];

/** A source without what has to be read from disk. */
export interface CheckedSource {
  readonly takenAtMs: number;
  /** Paths below the upper directory that are left out, each byte a character. */
  readonly hostFiles: readonly string[];
  /** Keys ascending by their bytes: one set of labels has one form. */
  readonly labels: readonly (readonly [string, string])[];
}

/** @throws TypeError, RangeError. */
export function checkSource(source: CaptureSource): CheckedSource {
  if (typeof source?.images !== 'string' || source.images === '') {
    throw new TypeError('images is the path of a directory');
  }
  if (source.files !== undefined && (typeof source.files !== 'string' || source.files === '')) {
    throw new TypeError('files is the path of a directory');
  }
  const takenAtMs = takenAtOf(source.takenAt);
  const hostFiles = [...HOST_FILES, ...(source.hostFiles ?? [])].map(pathBelowRoot);
  return { takenAtMs, hostFiles, labels: canonicalLabels(source.labels ?? {}) };
}

/** An absolute path in a container as one below its root, each byte a character. */
export function pathBelowRoot(path: string): string {
  if (typeof path !== 'string') throw new TypeError('a host file is a path in the container');
  const parts = path.split('/').slice(1);
  const isClean = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!path.startsWith('/') || !isClean || path.includes('\0')) {
    throw new RangeError(`'${path}' is not an absolute path without '.', '..' and empty parts`);
  }
  return Buffer.from(parts.join('/')).toString('latin1');
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
