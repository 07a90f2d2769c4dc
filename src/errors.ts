/**
 * The one error class of the library and its table of codes.
 *
 * Misuse by the caller (a wrong type, a number out of range) is a `TypeError` or `RangeError`;
 * everything that can go wrong with correct calls is a `StoreError`. Codes are part of the API,
 * messages are not. An unknown failure is STORAGE, never NOT_FOUND.
 */

/**
 * What went wrong, as a stable word:
 *
 * - `NOT_FOUND` no such store, timeline, snapshot or image directory
 * - `EXISTS` the target is already there, or is not empty
 * - `CORRUPT` bytes of the store are not what was written
 * - `INVALID_IMAGE` an image directory contradicts CRIU's format or itself
 * - `UNSUPPORTED_IMAGE` a valid image that this version cannot keep (compressed pages, lazy pages)
 * - `UNSUPPORTED_VERSION` a store of a newer format, or with an unknown feature
 * - `INCOMPLETE` the source changed while it was read, or lacks what a restore needs
 * - `LOCKED` another process holds what is needed, for longer than the caller wanted to wait
 * - `CLOSED` the store handle has been closed
 * - `ABORTED` the caller's signal fired (`name` is `AbortError`)
 * - `READ_ONLY` the handle was opened for reading
 * - `STORAGE` the operating system refused: no space, no permission, an I/O error (see `cause`)
 */
export type StoreErrorCode =
  | 'NOT_FOUND'
  | 'EXISTS'
  | 'CORRUPT'
  | 'INVALID_IMAGE'
  | 'UNSUPPORTED_IMAGE'
  | 'UNSUPPORTED_VERSION'
  | 'INCOMPLETE'
  | 'LOCKED'
  | 'CLOSED'
  | 'ABORTED'
  | 'READ_ONLY'
  | 'STORAGE';

/** Where it went wrong, as far as it is known. */
export interface ErrorPlace {
  /** Path of the file or directory. */
  readonly file?: string | undefined;
  /** Byte offset inside the file. */
  readonly offset?: number | undefined;
  /** Id of the snapshot. */
  readonly snapshot?: string | undefined;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** Every failure of the library that is not misuse. */
export class StoreError extends Error {
  /** The stable word for what went wrong. */
  readonly code: StoreErrorCode;
  /** Path of the file or directory concerned. */
  readonly file: string | undefined;
  /** Byte offset inside {@link StoreError.file}. */
  readonly offset: number | undefined;
  /** Id of the snapshot concerned. */
  readonly snapshot: string | undefined;

  readonly #what: string;

  /** @param message says what happened; the place is appended to it. */
  constructor(code: StoreErrorCode, message: string, place: ErrorPlace = {}) {
    super(message + describePlace(place), place.cause === undefined ? {} : { cause: place.cause });
    this.#what = message;
    this.name = code === 'ABORTED' ? 'AbortError' : 'StoreError';
    this.code = code;
    this.file = place.file;
    this.offset = place.offset;
    this.snapshot = place.snapshot;
  }

  /** What happened, without the place. */
  get summary(): string {
    return this.#what;
  }

  /** The same error, naming the snapshot that it concerns unless one is named already. */
  inSnapshot(id: string): StoreError {
    if (this.snapshot !== undefined) return this;
    const { file, offset, cause = this } = this;
    return new StoreError(this.code, this.#what, { file, offset, cause, snapshot: id });
  }
}

function describePlace(place: ErrorPlace): string {
  const parts: string[] = [];
  if (place.snapshot !== undefined) parts.push(`snapshot ${place.snapshot}`);
  if (place.file !== undefined) parts.push(place.file);
  if (place.offset !== undefined) parts.push(`offset ${place.offset}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** The `code` of a Node.js system error (`ENOENT`, …), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether an error says that stored bytes are lost: damaged, or on a medium that fails. */
export function isDamage(error: unknown): boolean {
  if (systemCode(error) === 'EIO') return true;
  if (!(error instanceof StoreError)) return false;
  return error.code === 'CORRUPT' || systemCode(error.cause) === 'EIO';
}

/** Turns a failure of the operating system into a STORAGE error; a StoreError passes as it is. */
export function storageError(action: string, file: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreError('STORAGE', `cannot ${action}: ${reason}`, { file, cause });
}
