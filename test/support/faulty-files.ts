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
  /** Name of the error, such as `ENOSPC`; `SHORT` is none: writes take half of what they get. */
  readonly code: string;
  /** Whether all that come after it fail as well. */
  readonly isSticky?: boolean;
}

/** A system error as Node.js makes them. */
export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: a made fault, ${syscall}`), { code, syscall });
}

/** A door whose n-th call fails, once armed, and all later ones if it is told so. */
export class FaultyFiles {
  readonly files: Files;
  #fault: Fault | undefined;
  #count = 0;
  #failed: string | undefined;

  constructor() {
    this.files = watchedFiles((call, values) => this.#meet(call, values));
    const whole = this.files.write.bind(this.files);
    this.files.write = (fd, source, position) => {
      const isShort = this.#fault?.code === 'SHORT' && this.#isFaulty('write');
      const bytes = isShort ? source.subarray(0, Math.ceil(source.length / 2)) : source;
      return whole(fd, bytes, position);
    };
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

  /** Counts a call, and says whether it is one that fails. */
  #isFaulty(call: Call): boolean {
    if (this.#fault?.calls.includes(call) !== true) return false;
    this.#count += 1;
    const { nth, isSticky = false } = this.#fault;
    if (this.#count < nth || (this.#count > nth && !isSticky)) return false;
    const frames = new Error().stack?.match(/(?<=\/src\/)[^\s:]+:\d+/g) ?? [];
    this.#failed ??= `${call} by ${frames.slice(0, 3).join(' by ')}`;
    return true;
  }

  #meet(call: Call, values: readonly unknown[]): void {
    const fault = this.#fault;
    if (fault === undefined || fault.code === 'SHORT' || !this.#isFaulty(call)) return;
    const error = systemError(fault.code, call);
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
