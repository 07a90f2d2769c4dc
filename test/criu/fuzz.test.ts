/** Damaged real images: whatever is changed, the answer is a StoreError or a decoded image. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import {
  decodeMessage,
  decodePagemap,
  describeProcesses,
  splitImage,
} from '../../src/criu/index.ts';
import { StoreError } from '../../src/errors.ts';
import { fixture } from '../support/fixtures.ts';

const directory = fixture('chain-4.2/2');
const names = [
  'inventory.img',
  'pstree.img',
  'pagemap-6921.img',
  'ghost-file-1.img',
  'pipes-data.img',
  'sk-queues.img',
  'files.img',
  'core-6921.img',
  'mm-6921.img',
];

interface Damage {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly cut: number;
}

const damages = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    cut: fc.constantFrom(0, 0, 0, 1, 5),
  }),
  { minLength: 1, maxLength: 3 },
);

function damaged(original: Uint8Array, changes: readonly Damage[]): Uint8Array {
  let bytes = Uint8Array.from(original);
  for (const { at, bytes: change, cut } of changes) {
    bytes.set(change, Math.floor(at * Math.max(0, bytes.length - change.length)));
    bytes = bytes.subarray(0, Math.max(4, bytes.length - cut));
  }
  return bytes;
}

function survive(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

describe('damaged images', () => {
  it.each(names)('never make the codecs fail otherwise: %s', (name) => {
    const original = readFileSync(join(directory, name));
    fc.assert(
      fc.property(damages, (changes) => {
        const bytes = damaged(original, changes);
        survive(() => {
          for (const { type, bytes: message } of splitImage(bytes, name).pieces) {
            if (type !== undefined) survive(() => decodeMessage(type, message));
          }
        });
        survive(() => decodePagemap(bytes));
        survive(() =>
          describeProcesses((wanted) => {
            if (wanted === name) return bytes;
            const path = join(directory, wanted);
            return existsSync(path) ? readFileSync(path) : undefined;
          }),
        );
      }),
      { numRuns: 300 },
    );
  });
});
