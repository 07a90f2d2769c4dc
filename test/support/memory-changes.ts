/**
 * What happens to the memory of processes between two dumps, as plain values, so that fast-check
 * can shrink them and a report can be repeated. Numbers choose among what there is, whatever that
 * is.
 */
import fc from 'fast-check';
import { type MadePages, type Memory, randomPages, withBytes } from './made-memory.ts';

/** One change; `space` chooses a space, `page` a page of it. */
export type Change =
  | {
      readonly kind: 'bytes';
      readonly space: number;
      readonly page: number;
      readonly count: number;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'pages' | 'zeros' | 'shrink';
      readonly space: number;
      readonly page: number;
      readonly count: number;
      readonly seed: number;
    }
  | {
      readonly kind: 'grow';
      readonly space: number;
      readonly count: number;
      readonly seed: number;
      readonly gap: number;
    }
  | { readonly kind: 'move'; readonly space: number; readonly distance: number }
  | { readonly kind: 'revert'; readonly space: number; readonly to: number }
  | {
      readonly kind: 'fork';
      readonly space: number;
      readonly id: number;
      /** Whether the process goes on under the new id only. */
      readonly isRename: boolean;
    }
  | { readonly kind: 'exit'; readonly space: number }
  | { readonly kind: 'file'; readonly length: number; readonly seed: number };

/** Memory does not grow beyond these, or a history would take minutes. */
const MAX_SPACES = 5;
const MAX_PAGES = 800;

const choice = fc.nat(0xffff);
/** A few pages, or as many as a leaf and more. */
const count = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 30 }) }, fc.nat(700));
const seed = fc.integer({ min: 1, max: 9 });

/** Any change. */
export const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('bytes'),
      space: choice,
      page: choice,
      count,
      at: fc.nat(4095),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('pages', 'zeros', 'shrink'),
      space: choice,
      page: choice,
      count,
      seed,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('grow'),
      space: choice,
      count,
      seed,
      gap: fc.constantFrom(0, 0, 1, 512),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('move'),
      space: choice,
      distance: fc.constantFrom(1, 7, 512, 100_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('revert'), space: choice, to: choice }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fork'),
      space: choice,
      id: fc.integer({ min: 1, max: 12 }),
      isRename: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('exit'), space: choice }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('file'), length: fc.nat(20_000), seed }),
  },
);

/** The memory after a change; `earlier` are memories that it may go back to. */
export function changed(memory: Memory, what: Change, earlier: readonly Memory[]): Memory {
  if (what.kind === 'file') {
    const pages = [...randomPages(0, Math.ceil(what.length / 4096), what.seed).values()];
    const bytes = Buffer.concat(pages).subarray(0, what.length);
    return { ...memory, files: new Map([...memory.files, ['files.log', bytes]]) };
  }
  const names = [...memory.spaces.keys()].sort();
  const name = names[what.space % Math.max(1, names.length)];
  if (name === undefined) return memory;
  const spaces = new Map(memory.spaces);
  const pages = spaces.get(name) as MadePages;
  if (what.kind === 'exit') {
    if (spaces.size > 1) spaces.delete(name);
  } else if (what.kind === 'fork') {
    if (!what.isRename && spaces.size >= MAX_SPACES) return memory;
    if (what.isRename) spaces.delete(name);
    spaces.set(name.replace(/\d+$/, String(what.id)), pages);
  } else if (what.kind === 'revert') {
    const old = earlier[what.to % Math.max(1, earlier.length)]?.spaces.get(name);
    if (old !== undefined) spaces.set(name, old);
  } else spaces.set(name, changedPages(pages, what));
  return { ...memory, spaces };
}

function changedPages(
  pages: MadePages,
  what: Extract<Change, { kind: 'bytes' | 'pages' | 'zeros' | 'shrink' | 'grow' | 'move' }>,
): MadePages {
  if (what.kind === 'move') {
    return new Map([...pages].map(([address, page]) => [address + what.distance, page]));
  }
  const addresses = [...pages.keys()].sort((a, b) => a - b);
  const result = new Map(pages);
  if (what.kind === 'grow') {
    if (pages.size >= MAX_PAGES) return pages;
    const end = (addresses.at(-1) ?? 0) + 1 + what.gap;
    for (const [at, page] of randomPages(end, what.count, what.seed)) result.set(at, page);
    return result;
  }
  const first = what.page % Math.max(1, addresses.length);
  const chosen = addresses.slice(first, first + what.count);
  const fresh = what.kind === 'pages' ? randomPages(0, chosen.length, what.seed) : undefined;
  for (const [i, address] of chosen.entries()) {
    const page = pages.get(address) as Buffer;
    if (what.kind === 'bytes') result.set(address, withBytes(page, what.at, what.bytes));
    else if (what.kind === 'zeros') result.set(address, Buffer.alloc(4096));
    else if (what.kind === 'shrink') result.delete(address);
    else result.set(address, fresh?.get(i) ?? page);
  }
  return result;
}
