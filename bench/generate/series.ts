/** Series of dumps of a made-up process: all at once in a directory, or one after the other. */
import { join } from 'node:path';
import { writeMemory } from './image-directory.ts';
import { Memory } from './memory.ts';
import type { Workload } from './workloads.ts';

/** Where dumps come from: a live process, or a made-up one. */
export interface DumpSource {
  /** For titles: what is dumped, and whether it is real. */
  readonly label: string;
  /** Lets the process run for a while, and dumps it into `directory`, which must be absent. */
  dump(directory: string): Promise<void>;
  close(): Promise<void>;
}

/** Dumps of a workload that follow from a seed. */
export function generatedSource(workload: Workload, seed = 1): DumpSource {
  let memory: Memory | undefined;
  return {
    label: `${workload.name} (generated)`,
    dump: async (directory) => {
      if (memory === undefined) memory = new Memory(workload, seed);
      else memory.change();
      writeMemory(directory, memory.bytes);
    },
    close: async () => {
      memory = undefined;
    },
  };
}

/** Writes a series of `count` dumps into `directory`: 001, 002, … */
export async function writeSeries(
  source: DumpSource,
  directory: string,
  count: number,
): Promise<void> {
  for (let number = 1; number <= count; number++) {
    await source.dump(join(directory, String(number).padStart(3, '0')));
  }
  await source.close();
}
