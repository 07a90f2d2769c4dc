/** Snapshots that are given as the parent of an incremental dump and cannot be it. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import {
  openImageDirectory,
  type ParentSnapshot,
  type ParentSpace,
} from '../../src/images/index.ts';
import { expectFailure } from '../support/failures.ts';
import {
  type MadeDirectory,
  type MadeRun,
  makeImageDirectory,
  parentOf,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const INHERITED: readonly MadeRun[] = [{ start: 64, count: 64, flags: PE_PARENT }];

/** A dump that needs a parent; its link leads to `../1`, which is not there unless it is made. */
function child(made: MadeDirectory & { runs?: readonly MadeRun[]; name?: string } = {}): string {
  const { runs = INHERITED, name = 'pagemap-1', ...rest } = made;
  const spaces = [{ name, pagesId: 1, runs }];
  return makeImageDirectory(join(newPath(), '2'), { parent: '../1', spaces, ...rest });
}

/** A snapshot of one space, of runs of [start, length]. */
function snapshot(
  runs: readonly (readonly [number, number])[] = [[0, 256]],
  known: Partial<ParentSnapshot> = {},
): ParentSnapshot {
  const space: ParentSpace = {
    runStart: Float64Array.from(runs, ([start]) => start),
    runLength: Float64Array.from(runs, ([, length]) => length),
  };
  const spaces = new Map([['pagemap-1', space]]);
  return { criuRunId: undefined, dumpUptimeUs: undefined, pageBytes: 4096, spaces, ...known };
}

async function refuses(
  path: string,
  parent: ParentSnapshot,
  { file, message }: { file: string; message: RegExp },
): Promise<void> {
  const place = file === '' ? path : join(path, file);
  const expected = { code: 'INVALID_IMAGE' as const, file: place, message };
  await expectFailure(() => openImageDirectory(path, { parent }), expected);
}

describe('a snapshot is refused as the parent', () => {
  const inventory = 'inventory.img';

  it('when it is the dump itself', async () => {
    const parent = snapshot([[0, 256]], { criuRunId: 'same' });
    await refuses(child({ runId: 'same' }), parent, { file: inventory, message: /same dump/ });
    openImageDirectory(child({ runId: 'other' }), { parent });
    openImageDirectory(child(), { parent });
  });

  it('when it is not older', async () => {
    for (const dumpUptimeUs of [5_000_000_000_000n, 5_000_000_000_001n, 2n ** 63n]) {
      const path = child({ uptimeUs: 5_000_000_000_000n });
      const message = /not older than this dump: \d+ us and 5000000000000 us/;
      await refuses(path, snapshot([[0, 256]], { dumpUptimeUs }), { file: inventory, message });
    }
    const older = snapshot([[0, 256]], { dumpUptimeUs: 4_999_999_999_999n });
    openImageDirectory(child({ uptimeUs: 5_000_000_000_000n }), { parent: older });
    openImageDirectory(child(), { parent: older });
  });

  it('when its pages have another size', async () => {
    const own = child({ runs: [{ start: 0, count: 1 }, ...INHERITED] });
    const message = /its pages have 16384 bytes, not 4096/;
    await refuses(own, snapshot([[0, 256]], { pageBytes: 16384 }), { file: '', message });
    const given = () => openImageDirectory(child(), { parent: snapshot(), pageBytes: 65536 });
    expect(given).toThrow(/its pages have 4096 bytes, not 65536/);
  });

  it.each([
    [{ runId: 'b' }, { criuRunId: 'a' }, /another dump: run id b, not a/],
    [{ runId: 'b' }, {}, /another dump: run id b, not unknown/],
    [{}, { criuRunId: 'a' }, /another dump: run id unknown, not a/],
    [{ uptimeUs: 3n }, { dumpUptimeUs: 4n }, /another dump: uptime 3, not 4/],
    [{ uptimeUs: 3n }, {}, /another dump: uptime 3, not unknown/],
    [{}, { dumpUptimeUs: 4n }, /another dump: uptime unknown, not 4/],
  ])('when the link leads to another dump: %o, not %o', async (linked, known, message) => {
    const path = child();
    makeImageDirectory(join(path, '../1'), linked);
    await refuses(path, snapshot([[0, 256]], known), { file: 'parent', message });
  });

  it.each([
    [{ runId: 'a' }, { criuRunId: 'a' }],
    [
      { runId: 'a', uptimeUs: 3n },
      { criuRunId: 'a', dumpUptimeUs: 4n },
    ],
    [{ uptimeUs: 3n }, { dumpUptimeUs: 3n }],
    [{ uptimeUs: 3n, imageVersion: 0 }, { dumpUptimeUs: 3n }],
    [{ runId: 'b', imageVersion: 3 }, { criuRunId: 'a' }],
    [{}, {}],
  ])('but not when the link leads to this one, or to nothing known: %o, %o', (linked, known) => {
    const path = child();
    makeImageDirectory(join(path, '../1'), linked);
    openImageDirectory(path, { parent: snapshot([[0, 256]], known) });
  });

  it('only by dumps that need it', () => {
    const runs = [{ start: 0, count: 1 }];
    const path = child({ runs, runId: 'same', uptimeUs: 1n });
    makeImageDirectory(join(path, '../1'), { runId: 'other' });
    const known = { criuRunId: 'same', dumpUptimeUs: 2n, pageBytes: 65536 };
    const directory = openImageDirectory(path, { parent: snapshot([[5, 1]], known) });
    expect(directory.pageBytes).toBe(4096);
  });
});

describe('a snapshot that lacks a page', () => {
  const lacking: [string, [number, number][], string][] = [
    ['at the start', [[65, 200]], '0x40000'],
    ['at the end', [[0, 127]], '0x7f000'],
    [
      'in the middle',
      [
        [0, 100],
        [101, 100],
      ],
      '0x64000',
    ],
    [
      'between the second and the third run',
      [
        [0, 80],
        [80, 20],
        [102, 100],
      ],
      '0x64000',
    ],
    [
      'everywhere',
      [
        [0, 64],
        [128, 64],
      ],
      '0x40000',
    ],
    ['because it has none', [], '0x40000'],
  ];

  it.each(lacking)('%s is refused, naming the pagemap and the page', async (_, runs, address) => {
    const message = new RegExp(`page ${address} is in the parent, but not in the given snapshot`);
    await refuses(child(), snapshot(runs), { file: 'pagemap-1.img', message });
  });

  it('of 64 KiB is refused by its first 4096 bytes that are missing', async () => {
    const parent = snapshot(
      [
        [0, 80],
        [96, 160],
      ],
      { pageBytes: 65536 },
    );
    const path = child({ runs: [{ start: 64, count: 4, flags: PE_PARENT }] });
    const message = /page 0x50000 is in the parent, but not in the given snapshot/;
    await refuses(path, parent, { file: 'pagemap-1.img', message });
  });

  it('is refused for the space of another name too', async () => {
    for (const name of ['pagemap-2', 'pagemap-shmem-1']) {
      const message = new RegExp(`page 0x40000 .* the given snapshot has no ${name}`);
      await refuses(child({ name }), snapshot(), { file: `${name}.img`, message });
    }
  });

  it('is not refused for a page that is not needed', () => {
    const runs = [
      { start: 64, count: 8, flags: PE_PARENT },
      { start: 72, count: 1 },
      { start: 80, count: 8, flags: PE_PARENT },
    ];
    openImageDirectory(child({ runs }), {
      parent: snapshot([
        [64, 8],
        [80, 8],
      ]),
    });
  });

  it('is found in shared memory', () => {
    const runs = [{ start: 0, count: 9, seed: 1 }];
    const shared = { name: 'pagemap-shmem-5', pagesId: 1, runs };
    const first = openImageDirectory(makeImageDirectory(newPath(), { spaces: [shared] }));
    const parent = parentOf(first);
    const inherits = (count: number) =>
      child({ name: 'pagemap-shmem-5', runs: [{ start: 1, count, flags: PE_PARENT }] });
    const [entry] = openImageDirectory(inherits(8), { parent }).entries.filter(
      ({ inherited }) => inherited !== undefined,
    );
    expect(entry?.inherited).toEqual({
      start: Float64Array.of(0),
      length: Float64Array.of(8),
      parentPage: Float64Array.of(1),
    });
    expect(() => openImageDirectory(inherits(9), { parent })).toThrow(/page 0x9000 is in/);
  });
});

describe('a description of a snapshot that no store would give', () => {
  const impossible: [string, Partial<ParentSpace>, number?][] = [
    ['runs that overlap', { runStart: Float64Array.of(0, 99) }],
    ['runs out of order', { runStart: Float64Array.of(100, 0) }],
    ['a run of no pages', { runLength: Float64Array.of(100, 0) }],
    ['a run of negative length', { runLength: Float64Array.of(100, -5) }],
    ['a negative address', { runStart: Float64Array.of(-1, 100) }],
    ['half a page', { runLength: Float64Array.of(99.5, 100) }],
    ['an address that is no number', { runStart: Float64Array.of(0, Number.NaN) }],
    ['a length without end', { runLength: Float64Array.of(100, Infinity) }],
    ['a run past the end of the address space', { runLength: Float64Array.of(100, 2 ** 52) }],
    ['fewer lengths', { runLength: Float64Array.of(100) }],
    ['fewer flags', { flags: Uint8Array.of(4) }],
    ['pages that it has not itself', { flags: Uint8Array.of(4, 1) }],
    ['lazy pages', { flags: Uint8Array.of(2, 4) }],
    ['flags of a newer CRIU', { flags: Uint8Array.of(12, 4) }],
    ['starts inside a larger page', { runStart: Float64Array.of(0, 104) }, 65536],
    ['ends inside a larger page', { runLength: Float64Array.of(100, 96) }, 65536],
  ];

  it.each(impossible)('is misuse: %s', (_, columns, pageBytes = 4096) => {
    const good = { runStart: Float64Array.of(0, 112), runLength: Float64Array.of(112, 96) };
    const parentWith = (space: ParentSpace): ParentSnapshot => ({
      ...snapshot(),
      pageBytes,
      spaces: new Map([['pagemap-1', space]]),
    });
    const runs = [{ start: 64, count: 1, flags: PE_PARENT }];
    openImageDirectory(child({ runs }), { parent: parentWith(good) });
    const open = () =>
      openImageDirectory(child({ runs }), { parent: parentWith({ ...good, ...columns }) });
    expect(open).toThrow(RangeError);
    expect(open).toThrow(/pagemap-1 of the parent/);
  });

  it('is misuse when it is no description', () => {
    for (const parent of [null, 7, {}, { pageBytes: 4096, spaces: {} }] as never[]) {
      expect(() => openImageDirectory(child(), { parent })).toThrow(TypeError);
    }
    const parent = snapshot([[0, 256]], { pageBytes: 8192 });
    expect(() => openImageDirectory(child(), { parent })).toThrow(RangeError);
  });
});
