/**
 * What one thread keeps while it works for one operation: a decoder with its cache, the contents
 * that it has open, and its buffers. Made by `begin`, closed at the end of the operation.
 */
import { join } from 'node:path';
import type { Zstd } from '../bytes/zstd.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import type { ContentReader } from '../images/content-reader.ts';
// Not by way of images/index.ts, which loads CRIU's messages: 50 ms for every worker that starts.
import { openContent } from '../images/content.ts';
import { BlockEncoder } from '../pack/block.ts';
import { PackSet } from '../pack/pack-set.ts';
import { PageDecoder } from '../pack/page-decoder.ts';
import { SegmentTable } from '../pack/segment-table.ts';
import { PageCells } from './page-cells.ts';
import { TreeReader } from '../upper/tree-reader.ts';
import { TreeWriter } from '../upper/tree-writer.ts';
import type { TreeContents } from '../tree/contents.ts';
import { Slice, type SliceHandle } from './slice.ts';
import type { SessionSetup, TaskReport } from './tasks.ts';

/** The state of a thread for one operation. */
export class Session {
  readonly files: Files;
  readonly setup: SessionSetup;
  readonly decoder: PageDecoder;
  readonly encoder: BlockEncoder;
  readonly packs: PackSet;
  readonly cells: PageCells;
  readonly #stock: Stock;
  readonly #segments: SegmentTable;
  readonly #heads: DescriptorPool;
  readonly #contents = new Map<number, ContentReader>();
  readonly #slices: Map<number, Slice>;
  #target: TreeWriter | undefined;
  #framesDecoded = 0;
  #framesNeeded = 0;

  constructor(thread: ThreadParts, setup: SessionSetup) {
    const { files, zstd } = thread;
    this.files = files;
    this.setup = setup;
    this.cells = new PageCells(setup.cells);
    this.#stock = setup.fresh ? newStock(thread, setup) : thread.stock(setup);
    this.#slices = thread.slices;
    const { packs, decoder } = this.#stock;
    this.packs = packs;
    this.decoder = decoder;
    packs.restoreLostFrames(setup.lostFrames);
    this.#segments = new SegmentTable(setup.segments);
    this.encoder = new BlockEncoder(zstd);
    this.#heads = new DescriptorPool(files, 1);
    this.#framesDecoded = decoder.framesDecoded;
    this.begin();
  }

  /** Before each task: another session may have used the decoder in between. */
  begin(): void {
    if (this.#stock.user === this) return;
    this.#stock.user = this;
    this.decoder.begin(this.#segments, this.setup.refuseLost);
    this.#framesNeeded = 0;
    this.#framesDecoded = this.decoder.framesDecoded;
  }

  /** From here to the end of the task, frames that are known to be damaged are not even tried. */
  refuseLost(): void {
    this.decoder.begin(this.#segments, true);
    this.#framesNeeded = 0;
    // So that the next task begins as this session does.
    this.#stock.user = undefined;
  }

  /** A slice, as this thread sees it. */
  slice(handle: SliceHandle): Slice {
    let slice = this.#slices.get(handle.number);
    if (slice === undefined) this.#slices.set(handle.number, (slice = new Slice(handle)));
    return slice;
  }

  /** The content with a number in the setup, opened when it is asked for first. */
  content(number: number): ContentReader {
    let reader = this.#contents.get(number);
    if (reader === undefined) {
      const source = this.setup.sources[number];
      if (source === undefined) throw new RangeError(`no content ${number}`);
      // One at a time: files are read one after the other.
      this.closeContents();
      reader =
        source.kind === 'tree'
          ? new TreeReader(this.files, source)
          : openContent(source, this.files);
      this.#contents.set(number, reader);
    }
    return reader;
  }

  /** Closes what is open of the images. @throws StoreError INCOMPLETE when a file has changed. */
  closeContents(): void {
    const readers = [...this.#contents.values()];
    this.#contents.clear();
    for (const reader of readers) reader.close();
  }

  /** Where the pages of a tree's files go: one tree at a time. */
  target(contents: TreeContents): TreeWriter {
    this.#target ??= new TreeWriter(this.files, contents);
    return this.#target;
  }

  /** Closes the files of a tree that were written to. */
  closeTargets(): void {
    const target = this.#target;
    this.#target = undefined;
    target?.close();
  }

  /** A descriptor of the base's head; undefined without one. */
  head(): number | undefined {
    return this.setup.head === undefined ? undefined : this.#heads.use(this.setup.head);
  }

  /** What has been found out since the last report. */
  report(): TaskReport {
    const { framesDecoded, framesNeeded } = this.decoder;
    const report = {
      lost: this.packs.lostFrames.takeUnrecorded(),
      framesDecoded: framesDecoded - this.#framesDecoded,
      framesNeeded: framesNeeded - this.#framesNeeded,
    };
    this.#framesDecoded = framesDecoded;
    this.#framesNeeded = framesNeeded;
    return report;
  }

  /** Closes everything; what has changed meanwhile is no matter any more. */
  close(): void {
    try {
      this.closeTargets();
      this.closeContents();
    } catch {
      // The operation is over, or has failed for a reason of its own.
    }
    this.#heads.close();
    if (this.setup.fresh) this.packs.close();
  }
}

/**
 * What a thread keeps of a store from one session to the next: packs never change, so that what
 * was read and decoded of them stays true.
 */
interface Stock {
  readonly packs: PackSet;
  readonly decoder: PageDecoder;
  /** Of the store, when it was last used. */
  generation: number;
  /** The session that reads with it. */
  user: Session | undefined;
}

function newStock(
  { files, zstd }: ThreadParts,
  { packs: directory, cacheBytes, generation }: SessionSetup,
): Stock {
  const pathOf = (name: string) => join(directory, name.slice(0, 2), `${name}.pack`);
  const packs = new PackSet(files, zstd, pathOf);
  return { packs, decoder: new PageDecoder(packs, cacheBytes), generation, user: undefined };
}

/** What a thread has for all its sessions. */
export class ThreadParts {
  readonly files: Files;
  readonly zstd: Zstd;
  /** By number: their views are not made anew for each task. */
  readonly slices: Map<number, Slice> = new Map();
  readonly #stocks = new Map<string, Stock>();

  constructor(files: Files, zstd: Zstd) {
    this.files = files;
    this.zstd = zstd;
  }

  /** What is kept of the store of a session. */
  stock(setup: SessionSetup): Stock {
    let stock = this.#stocks.get(setup.packs);
    if (stock === undefined) this.#stocks.set(setup.packs, (stock = newStock(this, setup)));
    // An open descriptor would keep the space of a pack that is gone.
    if (stock.generation !== setup.generation) stock.packs.close();
    stock.generation = setup.generation;
    return stock;
  }

  /** Closes what is open. */
  close(): void {
    for (const { packs } of this.#stocks.values()) packs.close();
    this.#stocks.clear();
  }
}
