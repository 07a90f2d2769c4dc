/**
 * The door to the file system with faults: it counts the calls of the kinds that are watched while
 * it is armed, and fails the n-th of them as the operating system would.
 */
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';

/** A call of the door. */
export type Call = keyof Files;

/** Every call but `close`, which does not fail in a way that anybody could act upon. */
export const EVERY_CALL: readonly Call[] = (Object.keys(nodeFiles) as Call[]).filter(
  (call) => call !== 'close',
);

/** Which call fails, and how. */
export interface Fault {
  readonly calls: readonly Call[];
  /** From 1. */
  readonly nth: number;
  /** Name of the error, such as `ENOSPC`. */
  readonly code: string;
}

/** A system error as Node.js makes them. */
export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: a made fault, ${syscall}`), { code, syscall });
}

/** A door whose n-th call fails, once armed. */
export class FaultyFiles {
  readonly files: Files;
  #fault: Fault | undefined;
  #count = 0;
  #failed: string | undefined;

  constructor() {
    this.files = watchedFiles((call, values) => this.#meet(call, values));
  }

  /** From now on, counts from 1, and fails as it is told. */
  arm(fault: Fault): void {
    this.#fault = fault;
    this.#count = 0;
    this.#failed = undefined;
  }

  /** Fails no more; returns which call has failed, and from where it came, if one has. */
  disarm(): string | undefined {
    this.#fault = undefined;
    return this.#failed;
  }

  #meet(call: Call, values: readonly unknown[]): void {
    if (this.#fault?.calls.includes(call) !== true) return;
    this.#count += 1;
    if (this.#count !== this.#fault.nth) return;
    const error = systemError(this.#fault.code, call);
    const frames = error.stack?.match(/(?<=\/src\/)[^\s:]+:\d+/g) ?? [];
    this.#failed = `${call} by ${frames.slice(0, 3).join(' by ')}`;
    const [fd, bytes, position] = values;
    if (call === 'write' && bytes instanceof Uint8Array && bytes.length > 1) {
      // A full disk takes what still fits.
      const half = bytes.subarray(0, bytes.length >>> 1);
      nodeFiles.write(fd as number, half, position as number);
    }
    throw error;
  }
}

/** A door that runs `meet` before each call. */
export function watchedFiles(meet: (call: Call, values: readonly unknown[]) => void): Files {
  const wrapped = Object.entries(nodeFiles).map(([call, original]): [string, unknown] => [
    call,
    (...values: unknown[]) => {
      meet(call as Call, values);
      return (original as (...values: unknown[]) => unknown)(...values);
    },
  ]);
  return Object.fromEntries(wrapped) as unknown as Files;
}
