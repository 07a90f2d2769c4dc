/** The memory of a made-up process, which changes from dump to dump as a workload says. */
import { fillPages, kindOf, PAGE_BYTES, PAGE_RECORDS, RECORD_BYTES } from './page-content.ts';
import { mixed, Random, share } from './random.ts';
import type { Workload } from './workloads.ts';

/** How much less every dump adds than the one before. */
const GROWTH_SLOWS = 5 / 6;
/** Where in a record fields change: pointer, pointer, counter. */
const FIELD_OFFSETS = [8, 24, 48] as const;

/** Memory that fits into this process; `bytes` is all of it. */
export class Memory {
  readonly #workload: Workload;
  readonly #seed: number;
  readonly #buffer: Uint8Array;
  #pages: number;
  #dumps = 0;
  #growth: number;

  constructor(workload: Workload, seed: number) {
    this.#workload = workload;
    this.#seed = seed;
    this.#pages = workload.pages;
    this.#growth = workload.pages * workload.growthShare;
    // All growth there can be, as the sum of a geometric series.
    const most = Math.ceil(workload.pages + this.#growth / (1 - GROWTH_SLOWS)) + 1;
    this.#buffer = new Uint8Array(most * PAGE_BYTES);
    this.#fill(0, this.#pages);
  }

  /** Its content now. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#pages * PAGE_BYTES);
  }

  /** Lets the program run until the next dump. */
  change(): void {
    this.#dumps += 1;
    const dump = mixed(this.#seed + 1, this.#dumps);
    const { changedShare, zeroShare, repeatedShare, stretchPages } = this.#workload;
    // Only unique pages change, so more of them do than of all.
    const chance = changedShare / (1 - zeroShare - repeatedShare);
    for (let page = 0; page < this.#pages; page++) {
      if (share(dump, Math.floor(page / stretchPages)) >= chance) continue;
      if (kindOf(this.#seed, page, this.#workload) === 'unique') this.#changePage(page, dump);
    }
    this.#grow();
  }

  #changePage(page: number, dump: number): void {
    const random = new Random(mixed(dump, page));
    const stretch = Math.floor(page / this.#workload.stretchPages);
    if (share(dump + 1, stretch) < this.#workload.movedShare) this.#movePage(page, random);
    else this.#changeFields(page, random, this.#workload.changedFields, dump);
  }

  #changeFields(page: number, random: Random, fields: number, dump: number): void {
    const { randomBytes, fieldBytes } = this.#workload;
    const count = Math.max(1, Math.round(random.around(fields)));
    for (let i = 0; i < count; i++) {
      const record = random.below(PAGE_RECORDS) * RECORD_BYTES;
      const field = FIELD_OFFSETS[random.below(FIELD_OFFSETS.length)] as number;
      const bits = random.next();
      const start = page * PAGE_BYTES + record + field;
      for (let byte = 0; byte < fieldBytes; byte++) {
        const change = byte < randomBytes ? bits >>> (byte * 8) : dump >>> ((byte & 3) * 8);
        this.#buffer[start + byte] = (this.#buffer[start + byte] as number) ^ (change & 0xff);
      }
    }
  }

  /** Other objects come here: content from elsewhere, at another offset in its page. */
  #movePage(page: number, random: Random): void {
    const shift = (1 + random.below(PAGE_RECORDS * 4 - 1)) * (RECORD_BYTES / 4);
    const from = random.below(this.#pages - 1) * PAGE_BYTES + shift;
    this.#buffer.copyWithin(page * PAGE_BYTES, from, from + PAGE_BYTES);
    this.#changeFields(page, random, this.#workload.changedFields / 2, random.next());
  }

  #grow(): void {
    const added = Math.floor(this.#growth);
    this.#growth *= GROWTH_SLOWS;
    this.#fill(this.#pages, added);
    this.#pages += added;
  }

  #fill(firstPage: number, count: number): void {
    const end = (firstPage + count) * PAGE_BYTES;
    const target = this.#buffer.subarray(firstPage * PAGE_BYTES, end);
    fillPages(target, firstPage, this.#seed, this.#workload);
  }
}
