/**
 * The power is cut at every change that an operation makes to the disk, and the store is opened on
 * whatever that may leave of it: test/support/disk-images.ts says what. test/campaign has the long
 * form. The second half proves that a store which syncs too little would be found out.
 */
import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { crashEverywhere, type PlayedHistory, playHistory } from '../support/crash-histories.ts';
import { Disk } from '../support/disk-model.ts';
import { imageOf, SYSTEMATIC } from '../support/disk-images.ts';
import { randomNumbers } from '../support/kills.ts';
import { type StoreOperation, operation, OPERATIONS } from '../support/store-operations.ts';
import { memoryPaths } from '../support/temporary.ts';
import { packFiles } from '../support/store-contents.ts';
import { describeTree } from '../support/trees.ts';

const newPath = memoryPaths();

/** Captures make hundreds of different images: such a part of them is checked, and of others. */
const [SHARE_OF_LARGE, SHARE] = [0.06, 0.3];

/** What is there before an operation: something for each of them to work on. */
const PREFIX: readonly StoreOperation[] = ['capture', 'remove', 'capture'].map(operation);

/** Operations after that, and how many moments and images there are at least. */
const MINIMUM: Readonly<Record<string, readonly [moments: number, images: number]>> = {
  capture: [20, 250],
  'capture again': [18, 220],
  'capture files': [20, 250],
  reopen: [8, 100],
  collect: [20, 200],
  repair: [30, 300],
};

describe('a power cut at every change', () => {
  test('of making a store leaves none, or one that works', async () => {
    const history = await playHistory(newPath, []);
    const report = await crashEverywhere(newPath, history);
    expect(report.complaints).toEqual([]);
    expect(report.moments).toBeGreaterThanOrEqual(25);
    expect(report.checked).toBeGreaterThanOrEqual(30);
  });

  test('of a first capture leaves nothing of it, or all', async () => {
    const history = await playHistory(newPath, [operation('capture')]);
    const options = { fromStep: 1, share: 0.25, random: randomNumbers(2) };
    const report = await crashEverywhere(newPath, history, options);
    expect(report.complaints).toEqual([]);
    expect(report.moments).toBeGreaterThanOrEqual(20);
    expect(report.checked).toBeGreaterThanOrEqual(15);
  });

  test.each(OPERATIONS)('of $name loses nothing that was acknowledged', async (tried) => {
    const history = await playHistory(newPath, [...PREFIX, tried]);
    const share = /capture|collect|repair/.test(tried.name) ? SHARE_OF_LARGE : SHARE;
    const options = { fromStep: 4, share, randomImages: 1, random: randomNumbers(1) };
    const report = await crashEverywhere(newPath, history, options);
    expect(report.complaints).toEqual([]);
    const [moments, images] = MINIMUM[tried.name] ?? [2, 20];
    expect(report.moments).toBeGreaterThanOrEqual(moments);
    expect(report.images).toBeGreaterThanOrEqual(images);
    expect(report.checked).toBeGreaterThanOrEqual(3);
  });
});

/** A door that does not sync what has such a path. */
function forgetfulDoor(isForgotten: (path: string) => boolean): (files: Files) => Files {
  return (files) => {
    const paths = new Map<number, string>();
    return {
      ...files,
      open: (path, how, mode) => {
        const fd = files.open(path, how, mode);
        paths.set(fd, path.toString());
        return fd;
      },
      sync: (fd) => {
        if (!isForgotten(paths.get(fd) ?? '')) files.sync(fd);
      },
    };
  };
}

const FORGOTTEN: readonly (readonly [string, RegExp, RegExp])[] = [
  ['the directory of the store', /\/store$/, /is missing|no store/],
  ['the directory that the store is in', /\/\d+$/, /no store there/],
  ['format.json', /\.json$/, /damaged format\.json/],
  ['a pack', /\.pack$/, /CORRUPT/],
  ['the directory of all packs', /\/packs$/, /CORRUPT|ENOENT/],
  ['the directory of a pack', /\/packs\/..$/, /CORRUPT|ENOENT/],
];

describe('a store that', () => {
  const capture: readonly StoreOperation[] = [operation('capture')];
  const whenIdle = { whenIdle: true, maxComplaints: 1 };

  test.each(FORGOTTEN)('does not sync %s would be found out', async (_, path, complaint) => {
    const door = forgetfulDoor((synced) => path.test(synced));
    const history = await playHistory(newPath, capture, door);
    const report = await crashEverywhere(newPath, history, whenIdle);
    expect(report.complaints).toEqual([expect.stringMatching(complaint)]);
  });

  test('does not sync what a collection unlinks would be found out', async () => {
    let hasUnlinked = false;
    const door = (files: Files): Files => ({
      ...forgetfulDoor((path) => hasUnlinked && /\/packs\/..$/.test(path))(files),
      unlink: (path) => {
        files.unlink(path);
        hasUnlinked ||= path.toString().endsWith('.pack');
      },
    });
    const operations = [...capture, operation('remove'), operation('collect')];
    const history = await playHistory(newPath, operations, door);
    const report = await crashEverywhere(newPath, history, { ...whenIdle, fromStep: 3 });
    expect(hasUnlinked).toBe(true);
    expect(report.complaints).toEqual([expect.stringMatching(/all lost.*to deeply equal \[\]/)]);
  });

  test('acknowledges before it commits would be found out', async () => {
    const history = await playHistory(newPath, [...capture, operation('pin')]);
    const report = await crashEverywhere(newPath, withoutLastCommit(history), whenIdle);
    expect(report.complaints).toEqual([expect.stringMatching(/0 come from nowhere, 1 differ/)]);
    const whole = await crashEverywhere(newPath, history, { ...whenIdle, fromStep: 2 });
    expect(whole.complaints).toEqual([]);
  });

  test('leaves packs that nobody knows would be found out', async () => {
    let copy: Files['copyApart'] | undefined;
    const door = (files: Files): Files => {
      copy = (from, to) => files.copyApart(from, to);
      return files;
    };
    const leaves: StoreOperation = {
      name: 'a pack comes to be',
      run: (world) => {
        const [path = ''] = packFiles(world.directory);
        copy?.(path, path.replace(/.{8}\.pack$/, '00000000.pack'));
        return Promise.resolve();
      },
    };
    const history = await playHistory(newPath, [...capture, leaves], door);
    const report = await crashEverywhere(newPath, history, whenIdle);
    expect(report.complaints).toEqual([expect.stringMatching(/all kept.*to deeply equal \[\]/)]);
  });
});

describe('the disk of these tests', () => {
  test('is the real one when nothing is lost', async () => {
    const history = await playHistory(newPath, [...OPERATIONS, operation('capture')]);
    const disk = new Disk();
    for (const { event } of history.events) disk.apply(event);
    const kept = SYSTEMATIC.find(({ name }) => name === 'all kept');
    const image = kept === undefined ? [] : imageOf(disk, kept, new Map());
    const lines = image.map(({ path, bytes, mode }) => {
      const shownMode = mode.toString(8).padStart(4, '0');
      if (bytes === undefined) return `directory ${shownMode} ${path}`;
      return `file ${shownMode} ${bytes.length} ${hash('sha256', bytes)} ${path}`;
    });
    const isOfDoor = (line: string): boolean => !/catalog\.sqlite|\.$/.test(line);
    expect(lines.filter(isOfDoor).sort()).toEqual(
      describeTree(history.directory).filter(isOfDoor).sort(),
    );
    expect(lines.length).toBeGreaterThan(15);
  });
});

/** The same, but for what SQLite wrote in the last step. */
function withoutLastCommit(history: PlayedHistory): PlayedHistory {
  const last = history.facts.length - 1;
  const begin = history.events.findIndex(
    ({ event }) => event.kind === 'begin' && event.step === last,
  );
  const before = history.events[begin]?.databases ?? new Map();
  const events = history.events.map(({ event, databases }, i) => {
    return { event, databases: i < begin ? databases : before };
  });
  return { ...history, events };
}
