/** Lets a timeline grow by many snapshots, some dumps at a time, so that they take little room. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../measure/child.ts';

/** Dumps that one process captures. */
const BATCH = 45;

/** Which timeline grows, and by what. */
export interface Growth {
  readonly store: string;
  /** Dumps are written here for a while. */
  readonly work: string;
  readonly timeline: string;
  /** Snapshots that are added. */
  readonly count: number;
  /** Writes the next dump. */
  readonly write: (path: string) => void;
}

/** Captures so many dumps; the store is made when there is none. */
export async function growTimeline(growth: Growth): Promise<void> {
  const { store, work, timeline, count, write } = growth;
  const directory = join(work, 'batch');
  for (let left = count; left > 0; left -= BATCH) {
    const captures = Array.from({ length: Math.min(BATCH, left) }, (_, i) => {
      const images = join(directory, String(i));
      write(images);
      return { timeline, images };
    });
    await runChild({ store, options: { create: true }, captures });
    rmSync(directory, { recursive: true, force: true });
  }
}
