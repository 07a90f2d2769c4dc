/**
 * What the library is for, in one minute: three dumps of a running program, each complete, go into
 * a store, and three checkpoints of a container that podman exported; any of them comes back as it
 * was. Run it with `npm run demo`.
 */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Snapshot, SnapshotStore } from 'criu-timeline';
import { fixture, unpackFixtures } from '../test/support/fixtures.ts';

const ARCHIVES = ['shop-1', 'shop-2', 'shop-3'].map((name) => fixture(`shop/${name}.tar`));
const DUMPS = ['001', '002', '003'].map((name) => fixture(`zoo-4.2/${name}`));

await unpackFixtures();
const directory = await mkdtemp(join(tmpdir(), 'criu-timeline-demo-'));
try {
  await demonstrate(DUMPS, directory);
  await demonstrateArchives(ARCHIVES, directory);
} finally {
  await rm(directory, { recursive: true });
}

async function demonstrate(dumps: readonly string[], directory: string): Promise<void> {
  const store = await SnapshotStore.open(join(directory, 'store'), { create: true });
  try {
    const timeline = store.timeline('zoo');
    console.log(`Capturing ${dumps.length} dumps that CRIU 4.2 made of a running program:\n`);
    for (const [index, images] of dumps.entries()) {
      await timeline.capture({ images, labels: { dump: String(index + 1) } });
    }
    printTimeline(timeline.list());

    const second = store.snapshot('zoo@2');
    const restored = join(directory, 'restored');
    console.log(`\nRestoring ${second.timeline}@${second.sequence} (${second.id}) ...`);
    await second.restore(restored);
    await report(dumps[1] ?? '', restored);
  } finally {
    await store.close();
  }
}

async function demonstrateArchives(archives: readonly string[], directory: string): Promise<void> {
  const store = await SnapshotStore.open(join(directory, 'shop'), { create: true });
  try {
    const timeline = store.timeline('shop');
    console.log(
      `\nImporting ${archives.length} checkpoints that podman exported, files and all:\n`,
    );
    for (const archive of archives) await timeline.import(archive);
    printTimeline(timeline.list());

    const again = join(directory, 'again.tar');
    console.log('\nExporting shop@2 as the archive that it was ...');
    await store.snapshot('shop@2').export(again, { compression: 'none' });
    const isSame = (await readFile(again)).equals(await readFile(archives[1] ?? ''));
    console.log(isSame ? 'It is byte for byte the one that was imported.' : 'It DIFFERS.');
    if (!isSame) process.exitCode = 1;
  } finally {
    await store.close();
  }
}

function printTimeline(snapshots: readonly Snapshot[]): void {
  const row = (...cells: string[]) => console.log(cells.map((cell) => cell.padStart(12)).join(''));
  row('snapshot', 'logical', 'new pages', 'new', 'stored');
  for (const { timeline, sequence, sizes } of snapshots) {
    const { logical, new: fresh, stored } = sizes;
    const bytes = [fresh.bytes, stored.bytes].map(kilobytes);
    row(`${timeline}@${sequence}`, kilobytes(logical.bytes), String(fresh.pages), ...bytes);
  }
  const sum = (kind: 'logical' | 'new' | 'stored', unit: 'bytes' | 'pages') =>
    snapshots.reduce((total, { sizes }) => total + sizes[kind][unit], 0);
  const [logical, fresh, stored] = [
    sum('logical', 'bytes'),
    sum('new', 'bytes'),
    sum('stored', 'bytes'),
  ];
  row(
    'total',
    kilobytes(logical),
    String(sum('new', 'pages')),
    kilobytes(fresh),
    kilobytes(stored),
  );
  const share = ((100 * stored) / logical).toFixed(1);
  console.log(`\nStored: ${share} % of that, ${(logical / stored).toFixed(1)} times smaller.`);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** Compares two directories, says what was found, and fails the program when they differ. */
async function report(original: string, restored: string): Promise<void> {
  const names = await readdir(original);
  const others = await readdir(restored);
  const differences = others.filter((name) => !names.includes(name));
  let bytes = 0;
  for (const name of names) {
    const isSame =
      others.includes(name) && (await isSameFile(join(original, name), join(restored, name)));
    if (!isSame) differences.push(name);
    bytes += (await stat(join(original, name))).size;
  }
  if (differences.length === 0) {
    const size = `${names.length} files, ${bytes} bytes`;
    console.log(
      `The restored directory is identical to the original: ${size}, names, modes and all.`,
    );
  } else {
    console.error(`The restored directory DIFFERS from the original in: ${differences.join(', ')}`);
    process.exitCode = 1;
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [facts, otherFacts] = [await stat(one), await stat(other)];
  if (facts.mode !== otherFacts.mode || facts.size !== otherFacts.size) return false;
  return (await readFile(one)).equals(await readFile(other));
}
