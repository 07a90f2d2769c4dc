/**
 * A door that looks again where the medium fails: a call that reads is made up to three times
 * before its EIO counts. For those who throw away, or set aside, what cannot be read; everybody
 * else is better off with the error at once.
 */
import { systemCode } from '../errors.ts';
import type { Files } from './files.ts';

const TRIES = 3;
const READS = [
  'open',
  'read',
  'stat',
  'lstat',
  'inspect',
  'inspectNames',
  'inspectOpen',
  'list',
] as const;

/** The same door, with another try for reads that fail with EIO. */
export function readAgain(files: Files): Files {
  const again = READS.map((name) => {
    const call = files[name].bind(files) as (...values: unknown[]) => unknown;
    return [name, (...values: unknown[]) => persist(() => call(...values))];
  });
  return { ...files, ...(Object.fromEntries(again) as Pick<Files, (typeof READS)[number]>) };
}

function persist<T>(call: () => T): T {
  for (let left = TRIES - 1; ; left--) {
    try {
      return call();
    } catch (error) {
      if (left === 0 || systemCode(error) !== 'EIO') throw error;
    }
  }
}
