/**
 * The steps of random histories with collections, as plain values, so that fast-check can shrink
 * them and a report can be repeated. Numbers choose among what there is, whatever that is.
 */
import fc from 'fast-check';
import type { OpenOptions } from '../../src/index.ts';
import { change, type Change } from './memory-changes.ts';

/** What happens to a tree of files. */
export interface FileChange {
  readonly kind: 'write' | 'append' | 'cut' | 'remove' | 'patch';
  readonly file: number;
  readonly length: number;
  readonly seed: number;
}

/** One operation, on one of the handles. */
export type Act = { readonly handle: number } & (
  | {
      readonly kind: 'capture';
      readonly timeline: number;
      readonly changes: readonly Change[];
      readonly fileChanges: readonly FileChange[] | undefined;
      readonly parent: number | undefined;
      readonly isIncremental: boolean;
    }
  | {
      readonly kind: 'remove' | 'undelete' | 'pin' | 'note' | 'restore';
      readonly snapshot: number;
      readonly value: number;
    }
  | {
      readonly kind: 'collect';
      readonly wasteThreshold: number;
      readonly maxBytes: number | undefined;
      readonly maxMilliseconds: number | undefined;
      readonly dryRun: boolean;
    }
  | { readonly kind: 'verify' }
);

/** What happens next: several operations at the same time, or something to the store itself. */
export type CollectedStep =
  | { readonly kind: 'together'; readonly acts: readonly Act[] }
  | { readonly kind: 'reopen'; readonly handle: number; readonly options: OpenOptions }
  | { readonly kind: 'forget'; readonly what: 'cache' | 'index' };

/** Handles on one store. */
export const HANDLES = 3;

const choice = fc.nat(0xffff);
const handle = fc.nat(HANDLES - 1);

const fileChange: fc.Arbitrary<FileChange> = fc.record({
  kind: fc.constantFrom('write', 'append', 'cut', 'remove', 'patch'),
  file: fc.nat(5),
  length: fc.nat(30_000),
  seed: fc.integer({ min: 1, max: 9 }),
});

const capture: fc.Arbitrary<Act> = fc.record({
  kind: fc.constant('capture'),
  handle,
  timeline: fc.nat(2),
  changes: fc.array(change, { maxLength: 3 }),
  fileChanges: fc.option(fc.array(fileChange, { maxLength: 4 }), { nil: undefined, freq: 3 }),
  parent: fc.option(choice, { nil: undefined, freq: 3 }),
  isIncremental: fc.boolean(),
});

const onSnapshot: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom('remove', 'remove', 'remove', 'undelete', 'pin', 'note', 'restore'),
  handle,
  snapshot: choice,
  value: fc.nat(3),
});

const collect: fc.Arbitrary<Act> = fc.record({
  kind: fc.constant('collect'),
  handle,
  wasteThreshold: fc.constantFrom(0, 0, 0.1, 0.3, 1),
  maxBytes: fc.constantFrom(undefined, undefined, undefined, 0, 100_000),
  maxMilliseconds: fc.option(fc.nat(5), { nil: undefined, freq: 2 }),
  dryRun: fc.integer({ min: 0, max: 7 }).map((number) => number === 0),
});

const verify: fc.Arbitrary<Act> = fc.record({ kind: fc.constant('verify'), handle });

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: capture },
  { weight: 7, arbitrary: onSnapshot },
  { weight: 4, arbitrary: collect },
  { weight: 1, arbitrary: verify },
);

/** Any step; stores are opened with a number of workers out of `workers`. */
export function collectedStep(workers: readonly number[]): fc.Arbitrary<CollectedStep> {
  const single = fc.array(act, { minLength: 1, maxLength: 1 });
  const several = fc.array(act, { minLength: 2, maxLength: 4 });
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ kind: fc.constant('together'), acts: fc.oneof(single, several) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('reopen'),
        handle,
        options: fc.record({
          maxDeltaDepth: fc.constantFrom(0, 1, 3, 16),
          cacheBytes: fc.constantFrom(0, 64 * 1024 * 1024),
          warmBytes: fc.constantFrom(0, 32 * 1024 * 1024),
          workers: fc.constantFrom(...workers),
        }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('forget'),
        what: fc.constantFrom('cache', 'index'),
      }),
    },
  );
}
