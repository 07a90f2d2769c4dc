/** Files that only have addresses: they come, go and grow from snapshot to snapshot. */
import { AddressSpace } from '../../src/tree/addresses.ts';
import { NO_EXTENTS, sumOf, type PageExtents } from '../../src/tree/body.ts';
import { NumberColumn } from '../../src/tree/columns.ts';
import { unite } from '../../src/tree/runs.ts';
import type { SpaceRuns } from '../../src/tree/tree.ts';

/** What becomes of a file: its pages, or undefined when it goes. */
export type Change = readonly [name: string, pages: number | undefined];

/** Files by their names, and the space they are in. */
export class ChurnedFiles {
  readonly files: Map<string, PageExtents> = new Map();
  runs: SpaceRuns = { runStart: new Float64Array(0), runLength: new Float64Array(0) };

  /** One snapshot. Throws where a page would be of two files, or a file not as long as it is. */
  snapshot(changes: Iterable<Change>): void {
    const addresses = new AddressSpace(this.runs);
    for (const [name, pages] of changes) {
      if (pages === undefined) this.files.delete(name);
      else {
        const extents = addresses.resize(this.files.get(name) ?? NO_EXTENTS, pages);
        if (sumOf(extents) !== pages) throw new Error(`${name} has other than ${pages} pages`);
        this.files.set(name, extents);
      }
    }
    const all = [...this.files.values()];
    const starts = new NumberColumn();
    const lengths = new NumberColumn();
    for (const extents of all) {
      for (const address of extents.start) starts.push(address);
      for (const pages of extents.length) lengths.push(pages);
    }
    const [start, length] = [starts.values(), lengths.values()];
    const none = { runStart: new Float64Array(0), runLength: new Float64Array(0) };
    this.runs = unite(none, { start, length });
    const { runStart, runLength } = this.runs;
    for (let i = 1; i < runStart.length; i++) {
      const end = (runStart[i - 1] as number) + (runLength[i - 1] as number);
      if ((runStart[i] as number) < end) throw new Error(`${runStart[i]} is of two files`);
    }
  }

  /** Runs of the space. */
  get runCount(): number {
    return this.runs.runStart.length;
  }

  /** Pages of all files. */
  get pageCount(): number {
    return this.runs.runLength.reduce((sum, pages) => sum + pages, 0);
  }

  /** Addresses up to the last page, used or not. */
  get extent(): number {
    return (this.runs.runStart.at(-1) ?? 0) + (this.runs.runLength.at(-1) ?? 0);
  }
}
