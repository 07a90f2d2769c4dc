/** Trees of many small files, and large logs: what a second capture of them may cost. */
import { expect } from 'vitest';
import {
  countingDoor,
  letSettle,
  listingOf,
  nextStamp,
  openFilesStore,
  python,
} from './captured-files.ts';
import { keptBytes } from './store-contents.ts';

/** How a tree of many files is laid out, and what may be measured of it. */
export interface ManyFiles {
  readonly count: number;
  /** 0: all in one directory. */
  readonly directories: number;
}

/** A captured tree may cost no more than this when ten of its files have changed. */
const MAX_ADDED_BYTES = 100_000;

/** Captures a tree twice, ten files of it changed between; says what that took, and checks it. */
export async function expectFewChangesCostLittle(
  newPath: () => string,
  { count, directories }: ManyFiles,
): Promise<void> {
  letSettle();
  const { files, opened } = countingDoor();
  const { capture, store } = await openFilesStore(newPath, { files });
  const place = directories === 0 ? `f'{i}'` : `f'{i % ${directories}}/{i}'`;
  const upper = python(
    newPath(),
    `for i in range(${directories}): os.mkdir(str(i))
for i in range(${count}): write(${place}, b'%d of many\\n' % i * (i % 50))`,
  );
  nextStamp();
  const started = performance.now();
  await capture(upper);
  const firstMs = performance.now() - started;
  expect(opened()).toBeGreaterThanOrEqual(count * 0.97);
  const before = keptBytes(store.directory);
  python(upper, `for i in range(1, ${count}, ${count / 10}): write(${place}, noise(i, 700))`);
  nextStamp();
  const again = performance.now();
  const snapshot = await capture(upper);
  const secondMs = performance.now() - again;
  const addedBytes = keptBytes(store.directory) - before;
  const layout = directories === 0 ? 'flat' : `in ${directories} directories`;
  const times = `${Math.round(firstMs)} ms, then ${Math.round(secondMs)} ms`;
  process.stderr.write(`${count} files ${layout}: ${times}, ${addedBytes} bytes added\n`);
  expect(opened()).toBe(10);
  expect(addedBytes).toBeLessThan(MAX_ADDED_BYTES);
  const restored = newPath();
  await snapshot.restore(newPath(), { files: restored });
  expect(listingOf(restored)).toEqual(listingOf(upper));
}

/** Captures a log twice, grown by a MiB between: it adds about what a MiB costs by itself. */
export async function expectGrownLogCostsItsGrowth(
  newPath: () => string,
  mebibytes: number,
): Promise<void> {
  letSettle();
  const { capture, store } = await openFilesStore(newPath);
  // A tenth of it is data, so that it does not take minutes to make.
  const upper = python(
    newPath(),
    `runs = [(i << 20, noise(i, 100_000)) for i in range(${mebibytes})]
sparse('log', ${mebibytes} << 20, runs)`,
  );
  const grow = `write('log', noise(7777, 1 << 20), 'ab')`;
  nextStamp();
  await capture(upper);
  const before = keptBytes(store.directory);
  python(upper, grow);
  nextStamp();
  const snapshot = await capture(upper);
  const addedBytes = keptBytes(store.directory) - before;
  process.stderr.write(`a log of ${mebibytes} MiB that grew by one: ${addedBytes} bytes added\n`);
  // Noise does not get smaller; the rest is what a capture costs.
  expect(addedBytes).toBeLessThan(1.1 * 2 ** 20);
  expect(addedBytes).toBeGreaterThan(2 ** 20);
  const restored = newPath();
  await snapshot.restore(newPath(), { files: restored });
  expect(listingOf(restored)).toEqual(listingOf(upper));
}
