/**
 * What `stress --vm 1` leaves in memory: it writes one letter to every page of an allocation, gives
 * it back and starts again, so that a dump finds the first part of the pages touched.
 */
import { writeImageDirectory } from './image-directory.ts';
import { PAGE_BYTES } from './page-content.ts';
import { Random } from './random.ts';
import type { DumpSource } from './series.ts';

const LETTER = 'Z'.charCodeAt(0);
/** Pages of the program and its libraries. */
const OWN_PAGES = 64;

/** Dumps of a made-up one with this much memory. */
export function generatedStress(bytes: number, seed = 1): DumpSource {
  const random = new Random(seed);
  return {
    label: 'stress --vm 1 (generated)',
    dump: async (directory) => {
      const touched = OWN_PAGES + Math.floor(random.below(bytes) / PAGE_BYTES);
      writeImageDirectory(directory, touched, (target, firstPage) => {
        target.fill(0);
        for (let offset = 0; offset < target.length; offset += PAGE_BYTES) {
          const page = firstPage + offset / PAGE_BYTES;
          target[offset] = LETTER;
          if (page < OWN_PAGES)
            new DataView(target.buffer).setUint32(offset + 8, page * 7919, true);
        }
      });
    },
    close: async () => undefined,
  };
}
