/** Every public method in every state of a store: open, closed, for reading only, aborted. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  SnapshotStore,
  type OperationOptions,
  Snapshot,
  type StoreErrorCode,
  Timeline,
} from '../../src/index.ts';
import { failureOf } from '../support/failures.ts';
import { makeDump } from '../support/made-dumps.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** What methods are called on. */
interface Subject {
  readonly store: SnapshotStore;
  readonly timeline: Timeline;
  readonly snapshot: Snapshot;
}

type State = 'open' | 'closed' | 'readOnly' | 'aborted';
type Outcome = 'done' | StoreErrorCode;

/** A row: the method, its call, and what it does in each state. */
interface Row {
  readonly call: (subject: Subject, options: OperationOptions) => unknown;
  readonly outcomes: Record<State, Outcome>;
}

const reads = { open: 'done', closed: 'CLOSED', readOnly: 'done', aborted: 'done' } as const;
const readsLong = { ...reads, aborted: 'ABORTED' } as const;
const writes = { ...readsLong, readOnly: 'READ_ONLY' } as const;
const always = { open: 'done', closed: 'done', readOnly: 'done', aborted: 'done' } as const;

const images = (): string => makeDump(newPath(), 2);

const MATRIX: Record<string, Row> = {
  'store.timeline': { call: ({ store }) => store.timeline('t'), outcomes: always },
  'store.timelines': { call: ({ store }) => store.timelines(), outcomes: reads },
  'store.snapshot': { call: ({ store }) => store.snapshot('t'), outcomes: reads },
  'store.collect': { call: ({ store }, options) => store.collect(options), outcomes: writes },
  'store.verify': { call: ({ store }, options) => store.verify(options), outcomes: readsLong },
  'store.backup': {
    call: ({ store }, options) => store.backup(newPath(), options),
    outcomes: readsLong,
  },
  'store.repair': { call: ({ store }, options) => store.repair(options), outcomes: writes },
  'store.statistics': { call: ({ store }) => store.statistics(), outcomes: reads },
  'store.close': { call: ({ store }) => store.close(), outcomes: always },
  'store[asyncDispose]': { call: ({ store }) => store[Symbol.asyncDispose](), outcomes: always },
  'timeline.capture': {
    call: ({ timeline }, options) => timeline.capture({ images: images() }, options),
    outcomes: writes,
  },
  'timeline.import': {
    call: ({ timeline }, options) => timeline.import(images(), options),
    outcomes: writes,
  },
  'timeline.list': { call: ({ timeline }) => timeline.list(), outcomes: reads },
  'timeline.latest': { call: ({ timeline }) => timeline.latest(), outcomes: reads },
  'timeline.at': { call: ({ timeline }) => timeline.at(new Date()), outcomes: reads },
  'timeline.prune': {
    call: ({ timeline }, options) => timeline.prune({ keepLast: 1 }, options),
    outcomes: writes,
  },
  'snapshot.restore': {
    call: ({ snapshot }, options) => snapshot.restore(newPath(), options),
    outcomes: readsLong,
  },
  'snapshot.export': {
    call: ({ snapshot }, options) => snapshot.export(newPath(), options),
    outcomes: readsLong,
  },
  'snapshot.describe': { call: ({ snapshot }) => snapshot.describe(), outcomes: reads },
  'snapshot.remove': {
    call: ({ snapshot }, options) => snapshot.remove(options),
    outcomes: writes,
  },
  'snapshot.undelete': {
    call: ({ snapshot }, options) => snapshot.undelete(options),
    outcomes: writes,
  },
  'snapshot.pin': {
    call: ({ snapshot }, options) => snapshot.pin(true, options),
    outcomes: writes,
  },
  'snapshot.note': {
    call: ({ snapshot }, options) => snapshot.note('a', options),
    outcomes: writes,
  },
  'snapshot.toJSON': { call: ({ snapshot }) => snapshot.toJSON(), outcomes: always },
};

async function makeSubject(state: State): Promise<Subject> {
  const directory = newPath();
  const writer = await openUnmanaged(directory, { create: true });
  await writer.timeline('t').capture({ images: images() });
  await writer.close();
  const store = await openUnmanaged(directory, { readOnly: state === 'readOnly' });
  onTestFinished(() => store.close());
  const subject = { store, timeline: store.timeline('t'), snapshot: store.snapshot('t') };
  if (state === 'closed') await store.close();
  return subject;
}

describe('the matrix', () => {
  test('has a row for every method', () => {
    const methodsOf = (name: string, type: { prototype: object }): string[] =>
      Reflect.ownKeys(type.prototype)
        .filter((key) => {
          const property = Object.getOwnPropertyDescriptor(type.prototype, key);
          return key !== 'constructor' && typeof property?.value === 'function';
        })
        .map((key) =>
          key === Symbol.asyncDispose ? 'store[asyncDispose]' : `${name}.${String(key)}`,
        );
    const methods = [
      ...methodsOf('store', SnapshotStore),
      ...methodsOf('timeline', Timeline),
      ...methodsOf('snapshot', Snapshot),
    ];
    expect(methods.sort()).toEqual(Object.keys(MATRIX).sort());
  });
});

describe.each(['open', 'closed', 'readOnly', 'aborted'] as const)('in the state %s', (state) => {
  test.each(Object.entries(MATRIX))('%s does as the matrix says', async (_, { call, outcomes }) => {
    const subject = await makeSubject(state);
    const before = storeState(subject.store.directory);
    const options = state === 'aborted' ? { signal: AbortSignal.abort() } : {};
    const expected = outcomes[state];
    if (expected === 'done') {
      await call(subject, options);
      return;
    }
    const error = await failureOf(() => call(subject, options));
    expect(error.code).toBe(expected);
    expect(error.name).toBe(expected === 'ABORTED' ? 'AbortError' : 'StoreError');
    expect(storeState(subject.store.directory)).toEqual(before);
  });

  test('what a prune would do can be planned like any reading', async () => {
    const { timeline, store } = await makeSubject(state);
    const before = storeState(store.directory);
    const signal = state === 'aborted' ? AbortSignal.abort() : undefined;
    const plan = () => timeline.prune({ keepLast: 1 }, { dryRun: true, signal });
    if (readsLong[state] === 'done') expect(await plan()).toMatchObject({ removed: [] });
    else expect((await failureOf(plan)).code).toBe(readsLong[state]);
    expect(storeState(store.directory)).toEqual(before);
  });

  test('facts of a snapshot can be read', async () => {
    const { snapshot, timeline, store } = await makeSubject(state);
    expect(snapshot).toMatchObject({ timeline: 't', sequence: 1, isRemoved: false });
    expect(timeline.name).toBe('t');
    expect(store.directory).toMatch(/^\//);
  });
});
