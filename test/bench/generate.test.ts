/** Made-up dumps: valid, the same for the same seed, and changing as the workload says. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Memory } from '../../bench/generate/memory.ts';
import { generatedSource, writeSeries } from '../../bench/generate/series.ts';
import { generatedStress } from '../../bench/generate/stress.ts';
import { NODE, PYTHON, REDIS, resized } from '../../bench/generate/workloads.ts';
import { describeProcesses, openImageDirectory } from '../../src/criu.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const PAGES = 4000;

describe.each([REDIS, PYTHON, NODE])('a made-up series of $name', (workload) => {
  test('has image directories that can be read, with a process in them', async () => {
    const path = newPath();
    await writeSeries(generatedSource(resized(workload, 300)), path, 2);
    for (const name of ['001', '002']) {
      const directory = join(path, name);
      const images = openImageDirectory(directory);
      expect(images.spaces[0]?.pageCount).toBeGreaterThanOrEqual(300);
      const read = (image: string) =>
        readdirSync(directory).includes(image) ? readFileSync(join(directory, image)) : undefined;
      expect(describeProcesses(read).map(({ pid }) => pid)).toEqual([4242]);
    }
  });

  test('is the same for the same seed, and another for another', async () => {
    const pages = async (seed: number): Promise<Buffer> => {
      const path = newPath();
      await writeSeries(generatedSource(resized(workload, 100), seed), path, 3);
      return readFileSync(join(path, '003', 'pages-1.img'));
    };
    const first = await pages(1);
    expect(first.equals(await pages(1))).toBe(true);
    expect(first.equals(await pages(2))).toBe(false);
  });

  test('changes as many pages as were measured', () => {
    const memory = new Memory(resized(workload, PAGES), 3);
    const before = memory.bytes.slice();
    memory.change();
    let changed = 0;
    for (let offset = 0; offset < before.length; offset += 4096) {
      const page = memory.bytes.subarray(offset, offset + 4096);
      if (Buffer.compare(page, before.subarray(offset, offset + 4096)) !== 0) changed += 1;
    }
    const share = changed / PAGES;
    expect(share).toBeGreaterThan(workload.changedShare * 0.8);
    expect(share).toBeLessThan(workload.changedShare * 1.2);
    expect(memory.bytes.length - before.length).toBe(
      Math.floor(PAGES * workload.growthShare) * 4096,
    );
  });
});

test('a made-up stress has dumps of changing size that can be read', async () => {
  const source = generatedStress(4_000_000);
  const counts: (number | undefined)[] = [];
  for (let i = 0; i < 3; i++) {
    const path = newPath();
    await source.dump(path);
    counts.push(openImageDirectory(path).spaces[0]?.pageCount);
  }
  expect(new Set(counts).size).toBe(3);
});
