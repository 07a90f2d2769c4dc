/**
 * Doors to the file system for tests: one that records its calls, one that moves a byte at a time.
 * Both stand before the real one.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';

/** A call of the door: its name, its arguments, and what it returned. */
export interface RecordedCall {
  readonly name: keyof Files;
  readonly values: readonly unknown[];
  readonly result: unknown;
}

/** A door that passes every call on, and the calls that came back without an error. */
export function recordingDoor(): { files: Files; calls: RecordedCall[] } {
  const calls: RecordedCall[] = [];
  const files = new Proxy(nodeFiles, {
    get: (target, name: keyof Files) => {
      return (...values: unknown[]): unknown => {
        const result = (target[name] as (...all: unknown[]) => unknown)(...values);
        calls.push({ name, values, result });
        return result;
      };
    },
  });
  return { files, calls };
}

/** A door whose reads and writes move one byte each. */
export const dribblingDoor: Files = {
  ...nodeFiles,
  read: (fd, target, position) => nodeFiles.read(fd, target.subarray(0, 1), position),
  write: (fd, source, position) => nodeFiles.write(fd, source.subarray(0, 1), position),
};

/** How many files this process has open. */
export function openDescriptors(counts: (path: string) => boolean = () => true): number {
  const descriptors = readdirSync('/proc/self/fd');
  return descriptors.filter((fd) => {
    try {
      return counts(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The one that lists the directory, and whatever other threads close meanwhile.
      return false;
    }
  }).length;
}
