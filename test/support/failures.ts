/** Catches what is expected to fail, and insists that it is an error of the library. */
import { expect } from 'vitest';
import { StoreError, type StoreErrorCode } from '../../src/index.ts';

/** The StoreError that `action` ends with; anything else, success too, is passed on or thrown. */
export async function failureOf(action: () => unknown): Promise<StoreError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

/** What a failure must be like. */
export interface ExpectedFailure {
  readonly code: StoreErrorCode;
  /** The whole path that the error must name, in `file` and in its message. */
  readonly file?: string;
  readonly message?: RegExp;
}

/** Fails unless `action` ends with the expected StoreError, which is returned. */
export async function expectFailure(
  action: () => unknown,
  { code, file, message }: ExpectedFailure,
): Promise<StoreError> {
  const error = await failureOf(action);
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: message === undefined ? expect.any(String) : expect.stringMatching(message),
  });
  if (file !== undefined) {
    expect(error.file).toBe(file);
    expect(error.message).toContain(file);
  }
  return error;
}
