/**
 * Writes a run, front to back, from entries that come in order: two places of one file at once,
 * the filter before the blocks. In memory are 128 KiB, and 4 bytes for each 341 entries.
 */
import { ByteWriter } from '../bytes/writer.ts';
import type { Files } from '../files/files.ts';
import { writeAll } from '../files/transfer.ts';
import { FilterWriter, filterLinesFor } from './filter.ts';
import {
  BLOCK_BYTES,
  BLOCK_ENTRIES,
  blocksOffset,
  bytesOfBlock,
  encodeDirectory,
  IDENTITY_BYTES,
  type RunShape,
  sealBlock,
} from './format.ts';

const BUFFER_BLOCKS = 16;

/** A run in the making. */
export class RunWriter {
  readonly #files: Files;
  readonly #fd: number;
  readonly #filterLines: number;
  readonly #filter: FilterWriter;
  readonly #fences = new ByteWriter();
  /** Blocks that wait to be written. */
  readonly #buffer: Uint8Array;
  #bufferedBytes = 0;
  #offset: number;
  /** The block in the making: sealed when it is full, and cut when it is the last. */
  readonly #prefix = new Uint32Array(BLOCK_ENTRIES);
  readonly #slot = new Uint32Array(BLOCK_ENTRIES);
  readonly #rest = new Uint16Array(BLOCK_ENTRIES);
  readonly #segment = new Uint16Array(BLOCK_ENTRIES);
  #used = 0;
  #entryCount = 0;

  /** @param maximum entries that may come: the filter has room for them. */
  constructor(files: Files, path: string, maximum: number) {
    this.#files = files;
    this.#filterLines = filterLinesFor(maximum);
    this.#offset = blocksOffset({ filterLines: this.#filterLines, entryCount: 0, segmentCount: 0 });
    this.#buffer = new Uint8Array(
      Math.min(BUFFER_BLOCKS, Math.ceil(maximum / BLOCK_ENTRIES)) * BLOCK_BYTES,
    );
    this.#fd = files.open(path, 'create');
    this.#filter = new FilterWriter(this.#filterLines, (bytes, offset) =>
      writeAll(files, this.#fd, bytes, offset),
    );
  }

  /** Adds an entry, which must not come before the last one. */
  add(prefix: number, rest: number, segment: number, slot: number): void {
    const i = this.#used;
    this.#prefix[i] = prefix;
    this.#rest[i] = rest;
    this.#segment[i] = segment;
    this.#slot[i] = slot;
    this.#filter.add(prefix, rest);
    this.#used = i + 1;
    this.#entryCount += 1;
    if (this.#used === BLOCK_ENTRIES) this.#endBlock();
  }

  #endBlock(): void {
    const used = this.#used;
    const bytes = bytesOfBlock(used);
    if (this.#bufferedBytes + bytes > this.#buffer.length) this.#flush();
    const start = this.#bufferedBytes;
    const view = new DataView(this.#buffer.buffer, start);
    for (let i = 0; i < used; i++) {
      view.setUint32(i * 4, this.#prefix[i] as number, true);
      view.setUint32((used + i) * 4, this.#slot[i] as number, true);
      view.setUint16(used * 8 + i * 2, this.#rest[i] as number, true);
      view.setUint16(used * 10 + i * 2, this.#segment[i] as number, true);
    }
    sealBlock(this.#buffer.subarray(start, start + bytes));
    this.#fences.u32(this.#prefix[used - 1] as number);
    this.#bufferedBytes += bytes;
    this.#used = 0;
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#bufferedBytes);
    writeAll(this.#files, this.#fd, bytes, this.#offset);
    this.#offset += bytes.length;
    this.#bufferedBytes = 0;
  }

  /** Ends the run, which covers the segments with these identities, ascending. */
  finish(identities: Uint8Array): RunShape {
    if (this.#used > 0) this.#endBlock();
    this.#flush();
    const shape = {
      filterLines: this.#filterLines,
      entryCount: this.#entryCount,
      segmentCount: identities.length / IDENTITY_BYTES,
    };
    const trailer = { shape, filterChecksum: this.#filter.finish() };
    const directory = encodeDirectory(trailer, this.#fences.bytes(), identities);
    writeAll(this.#files, this.#fd, directory, this.#offset);
    return shape;
  }

  /** Closes the file, whether it is complete or not. */
  close(): void {
    this.#files.close(this.#fd);
  }
}
