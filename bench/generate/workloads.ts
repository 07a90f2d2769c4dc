/**
 * What programs do to their memory between two dumps, in numbers measured on real series of dumps
 * (CRIU 4.1 and 4.2, x86-64, consecutive full dumps of about 90 MB, one to two seconds apart).
 */
import type { PageMix } from './page-content.ts';

/** A program that keeps changing its memory. */
export interface Workload extends PageMix {
  readonly name: string;
  /** Pages of the first dump. */
  readonly pages: number;
  /** Dumps of a series of it. */
  readonly dumps: number;
  /** Pages that differ between two dumps, of all pages. */
  readonly changedShare: number;
  /** Pages beside each other that change together. */
  readonly stretchPages: number;
  /** Fields that differ in a changed page, in the mean; many pages have few. */
  readonly changedFields: number;
  /** Bytes of each of them that are new; the others of the field change alike everywhere. */
  readonly randomBytes: 1 | 2 | 4;
  /** Bytes of a field. */
  readonly fieldBytes: number;
  /** Changed pages into which a collector moved other objects, of all changed pages. */
  readonly movedShare: number;
  /** Pages that the second dump adds, of all pages; every later one adds a sixth less. */
  readonly growthShare: number;
}

/**
 * redis-server, 600,000 keys of 100 bytes, 20,000 random SETs between two dumps. Measured: 38 % of
 * pages changed, 4.7 places of 22 bytes in all in one (median 8), whose XORs compress to 25 bytes.
 */
export const REDIS: Workload = {
  name: 'redis',
  pages: 21_000,
  dumps: 12,
  zeroShare: 0.029,
  repeatedShare: 0.508,
  changedShare: 0.38,
  stretchPages: 1,
  changedFields: 4.7,
  randomBytes: 1,
  fieldBytes: 4,
  movedShare: 0,
  growthShare: 0.015,
};

/**
 * A Python process that replaces a tenth of its 150,000 dictionaries a second. Measured: 89 % of
 * pages changed, 21 places of 105 bytes in all in one, whose XORs compress to 105 bytes.
 */
export const PYTHON: Workload = {
  name: 'python',
  pages: 25_400,
  dumps: 6,
  zeroShare: 0.006,
  repeatedShare: 0.004,
  changedShare: 0.89,
  stretchPages: 2,
  changedFields: 23,
  randomBytes: 2,
  fieldBytes: 5,
  movedShare: 0,
  growthShare: 0.002,
};

/**
 * Node.js, which replaces a tenth of 200,000 map entries a second, and whose collector moves what
 * stays. Measured: 25 % of pages changed; in half of these 50 places of 250 bytes in all, whose
 * XORs compress to 215 bytes, and 3000 bytes in the other half.
 */
export const NODE: Workload = {
  name: 'node',
  pages: 24_200,
  dumps: 6,
  zeroShare: 0,
  repeatedShare: 0.016,
  changedShare: 0.25,
  stretchPages: 24,
  changedFields: 60,
  randomBytes: 2,
  fieldBytes: 5,
  movedShare: 0.52,
  growthShare: 0.034,
};

/** The three that the bars are stated for. */
export const WORKLOADS: readonly Workload[] = [REDIS, PYTHON, NODE];

/** The same in a process of another size. */
export function resized(workload: Workload, pages: number): Workload {
  return { ...workload, pages: Math.max(16, Math.round(pages)) };
}
