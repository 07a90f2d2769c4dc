/**
 * The power is cut at every change of every history of up to three operations, in the last of them,
 * with all systematic images and some random ones; then in long random histories, at any moment.
 * CRIU_TIMELINE_CASES bounds them, to so many of two and three operations each and a tenth as many
 * long ones. CRIU_TIMELINE_PART, such as 1/2, takes the first half of them: all of three operations
 * take two hours of one core. The seed is printed.
 *
 * In an empty store, only captures and repairs do something: histories of three operations that
 * begin with another are those of two, but for the name of a lease.
 */
import { expect, test } from 'vitest';
import { crashEverywhere, type CrashReport, playHistory } from '../support/crash-histories.ts';
import { randomNumbers } from '../support/kills.ts';
import { type StoreOperation, OPERATIONS } from '../support/store-operations.ts';
import { memoryPaths } from '../support/temporary.ts';

const newPath = memoryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? Infinity);
const [part = 1, parts = 1] = (process.env['CRIU_TIMELINE_PART'] ?? '1/1').split('/').map(Number);
const LONG_HISTORIES = 10;
const seed = Date.now() >>> 0;
const RANDOM_IMAGES = 4;

test('a power cut in the last of one or two operations loses nothing', async () => {
  const ones = OPERATIONS.map((operation) => [operation]);
  const twos = choose(longer(ones));
  await expectNothingLost('one or two operations', [[], ...ones, ...twos]);
});

test('a power cut in the last of three operations loses nothing', async () => {
  const first = OPERATIONS.filter(({ name }) => /^(capture|repair)/.test(name));
  const threes = longer(longer(first.map((operation) => [operation])));
  await expectNothingLost('three operations', choose(threes));
});

test('a power cut anywhere in long histories loses nothing', async () => {
  const random = randomNumbers(seed + 1);
  const any = (): StoreOperation =>
    OPERATIONS[Math.floor(random() * OPERATIONS.length)] as StoreOperation;
  const count = Math.min(LONG_HISTORIES, Math.ceil(cases / 10));
  for (let left = count; left > 0; left--) {
    const history = Array.from({ length: 4 + Math.floor(random() * 9) }, any);
    const played = await playHistory(newPath, history);
    const options = { share: 0.05, randomImages: 10, random };
    const report = await crashEverywhere(newPath, played, options);
    print(played.name, [report]);
    expect(report.complaints).toEqual([]);
  }
});

/** As many of the histories as there are cases, at random. */
function choose(all: readonly StoreOperation[][]): StoreOperation[][] {
  // Not every second one by its number: those that end in repairs take ten times as long.
  const turnOf = (i: number): number => i + Math.floor(i / OPERATIONS.length);
  const histories = all.filter((_, i) => turnOf(i) % parts === part - 1);
  if (histories.length <= cases) return histories;
  const random = randomNumbers(seed);
  const chosen: StoreOperation[][] = [];
  while (chosen.length < cases && histories.length > 0) {
    chosen.push(...histories.splice(Math.floor(random() * histories.length), 1));
  }
  return chosen;
}

/** Each history with each operation after it. */
function longer(histories: readonly (readonly StoreOperation[])[]): StoreOperation[][] {
  return histories.flatMap((history) => OPERATIONS.map((next) => [...history, next]));
}

async function expectNothingLost(
  name: string,
  histories: readonly (readonly StoreOperation[])[],
): Promise<void> {
  const reports: CrashReport[] = [];
  const random = randomNumbers(seed + 2);
  for (const history of histories) {
    const played = await playHistory(newPath, history);
    const options = { fromStep: history.length, randomImages: RANDOM_IMAGES, random };
    reports.push(await crashEverywhere(newPath, played, options));
    // All of them take most of an hour.
    if (reports.length % 50 === 0) print(name, reports);
  }
  print(name, reports);
  expect(reports.flatMap(({ complaints }) => complaints)).toEqual([]);
  const images = reports.reduce((sum, { checked }) => sum + checked, 0);
  expect(images).toBeGreaterThan(histories.length * 10);
}

function print(name: string, reports: readonly CrashReport[]): void {
  const total = (count: 'moments' | 'images' | 'checked'): number =>
    reports.reduce((sum, report) => sum + report[count], 0);
  process.stderr.write(
    `crashes (${name}): seed ${seed}, ${reports.length} histories, ${total('moments')} moments,` +
      ` ${total('images')} images, ${total('checked')} different ones checked\n`,
  );
}
