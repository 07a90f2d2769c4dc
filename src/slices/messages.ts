/** What goes between the calling thread and a worker, and how errors survive the way. */
import { StoreError, systemCode, type StoreErrorCode } from '../errors.ts';
import type { SessionSetup, TaskKind, TaskReport } from './tasks.ts';

/** To a worker. */
export type Order =
  | { readonly type: 'open'; readonly session: number; readonly setup: SessionSetup }
  | { readonly type: 'close'; readonly session: number }
  | {
      readonly type: 'task';
      readonly session: number;
      readonly task: number;
      readonly kind: TaskKind;
      readonly request: unknown;
    };

/** From a worker, one for each task. */
export interface Answer {
  readonly task: number;
  readonly result: unknown;
  readonly error: SentError | undefined;
  readonly report: TaskReport;
}

/** An error as plain data: structured cloning keeps neither classes nor fields of errors. */
export interface SentError {
  readonly message: string;
  readonly stack: string | undefined;
  /** Of a StoreError. */
  readonly store:
    | {
        readonly code: StoreErrorCode;
        readonly file: string | undefined;
        readonly offset: number | undefined;
        readonly snapshot: string | undefined;
      }
    | undefined;
  /** Of an error of the system: Node's code and the call, by which it is told from others. */
  readonly system: { readonly code: string; readonly syscall: unknown } | undefined;
  readonly cause: SentError | undefined;
}

/** Packs an error. */
export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) {
    return {
      message: String(error),
      stack: undefined,
      store: undefined,
      system: undefined,
      cause: undefined,
    };
  }
  const { message, stack, cause } = error;
  const store =
    error instanceof StoreError
      ? { code: error.code, file: error.file, offset: error.offset, snapshot: error.snapshot }
      : undefined;
  return {
    message: store === undefined ? message : error instanceof StoreError ? error.summary : message,
    stack,
    store,
    system: systemFields(error),
    cause: cause === undefined ? undefined : sendError(cause),
  };
}

function systemFields(error: Error): SentError['system'] {
  const code = systemCode(error);
  return code === undefined ? undefined : { code, syscall: 'syscall' in error && error.syscall };
}

/** Unpacks an error. */
export function receiveError(sent: SentError): Error {
  const cause = sent.cause === undefined ? undefined : receiveError(sent.cause);
  const { message, store, system } = sent;
  if (store !== undefined) {
    const { code, ...place } = store;
    return new StoreError(code, message, { ...place, cause });
  }
  const error = new Error(message, { cause });
  if (sent.stack !== undefined) error.stack = sent.stack;
  return system === undefined ? error : Object.assign(error, system);
}
