/** What is done with the page index: a run built, pages found and not found. */
import { join } from 'node:path';
import { mixed } from '../generate/random.ts';
import type { Internals } from '../internals.ts';
import type { MicroCase } from './stopwatch.ts';

const RUNS = 8;
const RUN_ENTRIES = 125_000;
const CACHE_BYTES = 16 * 1024 * 1024;
const LOOKUPS = 10_000;
const DIGEST_BYTES = 32;

/** The cases of the index; its files go to `directory`, which is empty. */
export function indexCases(internals: Internals, directory: string): MicroCase[] {
  const { PageIndex } = internals.pageIndex;
  const { nodeFiles } = internals.files;
  for (let run = 0; run < RUNS; run++) {
    buildRun(internals, directory, { run, path: join(directory, `${run}.run`) });
  }
  const index = new PageIndex(nodeFiles, directory, CACHE_BYTES);
  const damaged = index.refresh((identity) => identity[0]);
  if (damaged.length > 0 || index.runs.length !== RUNS) throw new Error('runs cannot be read');
  const look = (digests: Uint8Array, expected: number) => (): void => {
    let found = 0;
    for (let i = 0; i < LOOKUPS; i++) {
      if (index.find(digests, i * DIGEST_BYTES, () => true)) found += 1;
    }
    if (found !== expected) throw new Error(`${found} pages found, not ${expected}`);
  };
  const hits = digestsOf((i) => entryDigest(i % RUNS, i % RUN_ENTRIES));
  // Two bytes that no entry has: an entry is found by six bytes, and a few would be by chance.
  const misses = digestsOf((i) => [mixed(99, i), NO_REST]);
  const where = `in ${(RUNS * RUN_ENTRIES) / 1e6} million, ${RUNS} runs`;
  const path = join(directory, 'again');
  return [
    {
      name: 'index: build a run',
      unit: 'entry',
      unitsPerCall: RUN_ENTRIES,
      call: () => {
        buildRun(internals, directory, { run: 0, path });
        internals.files.nodeFiles.unlink(path);
      },
    },
    { name: `index: hit ${where}`, ...ofLookups, call: look(hits, LOOKUPS) },
    { name: `index: miss ${where}`, ...ofLookups, call: look(misses, 0) },
  ];
}

const ofLookups = { unit: 'lookup', unitsPerCall: LOOKUPS } as const;

/** Writes one run of one segment to a path. */
function buildRun(
  { runBuilder, files }: Internals,
  directory: string,
  { run, path }: { run: number; path: string },
): void {
  const newPath = (): string => join(directory, 'spilled');
  const builder = new runBuilder.RunBuilder(files.nodeFiles, { newPath });
  builder.beginSegment(new Uint8Array(16).fill(run));
  for (let i = 0; i < RUN_ENTRIES; i++) {
    const [prefix, rest] = entryDigest(run, i);
    builder.add(prefix, rest, i);
  }
  const work = builder.finish(path);
  while (work.next().done !== true);
}

const NO_REST = 0xffff;

/** The first four and the next two bytes of a digest. */
function entryDigest(run: number, i: number): readonly [number, number] {
  return [mixed(run, i), mixed(run + 1000, i) % NO_REST];
}

function digestsOf(valueOf: (i: number) => readonly [number, number]): Uint8Array {
  const digests = new Uint8Array(LOOKUPS * DIGEST_BYTES);
  const view = new DataView(digests.buffer);
  for (let i = 0; i < LOOKUPS; i++) {
    const [prefix, rest] = valueOf(i);
    view.setUint32(i * DIGEST_BYTES, prefix);
    view.setUint16(i * DIGEST_BYTES + 4, rest);
  }
  return digests;
}
