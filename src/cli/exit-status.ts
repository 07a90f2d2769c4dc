/**
 * What the exit status of the program says, in one table.
 *
 * 0 done, 1 failed, 2 wrong usage, 3 the store is damaged, 130 interrupted (by SIGINT or SIGTERM,
 * and nothing was left half done).
 */
import { CommanderError } from 'commander';
import { StoreError, type StoreErrorCode } from '../index.ts';

/** The statuses, by name. */
export const EXIT_STATUS = { done: 0, failed: 1, usage: 2, corrupt: 3, interrupted: 130 } as const;

const STATUS_OF_CODE: Readonly<Record<StoreErrorCode, number>> = {
  NOT_FOUND: EXIT_STATUS.failed,
  EXISTS: EXIT_STATUS.failed,
  CORRUPT: EXIT_STATUS.corrupt,
  INVALID_IMAGE: EXIT_STATUS.failed,
  UNSUPPORTED_IMAGE: EXIT_STATUS.failed,
  UNSUPPORTED_VERSION: EXIT_STATUS.failed,
  INCOMPLETE: EXIT_STATUS.failed,
  LOCKED: EXIT_STATUS.failed,
  CLOSED: EXIT_STATUS.failed,
  ABORTED: EXIT_STATUS.interrupted,
  READ_ONLY: EXIT_STATUS.failed,
  STORAGE: EXIT_STATUS.failed,
};

/** The status with which an error ends the program. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof StoreError) return STATUS_OF_CODE[error.code];
  // Commander throws for --help and --version too, and for its own errors with status 1.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_STATUS.usage;
  // Misuse that only the library can judge, such as the name of a timeline.
  if (error instanceof TypeError || error instanceof RangeError) return EXIT_STATUS.usage;
  return EXIT_STATUS.failed;
}
