/** A second look at a medium that fails, and at nothing else. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readAgain } from '../../src/files/read-again.ts';
import { type Call, EVERY_CALL, FaultyFiles } from '../support/faulty-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A file that is read through a door, of which so many calls in a row fail. */
function readWith(code: string, calls: readonly Call[], failing: number): string {
  const path = newPath();
  writeFileSync(path, 'content');
  const faulty = new FaultyFiles();
  const again = readAgain({
    ...faulty.files,
    ...Object.fromEntries(calls.map((call) => [call, failFirst(faulty, code, call, failing)])),
  });
  const fd = again.open(path, 'read');
  const bytes = Buffer.alloc(again.stat(fd).sizeBytes);
  again.read(fd, bytes, 0);
  again.close(fd);
  return `${again.lstat(path).kind}: ${bytes.toString()}`;
}

function failFirst(faulty: FaultyFiles, code: string, call: Call, failing: number) {
  let left = failing;
  const original = faulty.files[call].bind(faulty.files) as (...values: unknown[]) => unknown;
  return (...values: unknown[]): unknown => {
    if (left-- > 0) faulty.arm({ calls: [call], nth: 1, code });
    else faulty.disarm();
    return original(...values);
  };
}

describe('a read that fails with EIO', () => {
  test.each([1, 2])('%d times is made again, and works', (failing) => {
    for (const call of ['open', 'stat', 'read', 'lstat'] as const) {
      expect(readWith('EIO', [call], failing)).toBe('file: content');
    }
  });

  test('a third time fails', () => {
    for (const call of ['open', 'stat', 'read', 'lstat'] as const) {
      expect(() => readWith('EIO', [call], 3)).toThrow(/EIO/);
    }
  });
});

test('any other failure counts at once', () => {
  expect(() => readWith('EACCES', ['open'], 1)).toThrow(/EACCES/);
});

test('what changes the disk is never made again', () => {
  const faulty = new FaultyFiles();
  const again = readAgain(faulty.files);
  const reads = ['open', 'read', 'stat', 'lstat', 'inspect', 'inspectNames', 'inspectOpen', 'list'];
  const changed = EVERY_CALL.filter((call) => again[call] !== faulty.files[call]);
  expect([...changed].sort()).toEqual([...reads].sort());
});
