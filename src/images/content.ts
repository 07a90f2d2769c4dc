/**
 * Where the content of a file of a flat directory is, as plain data: a source survives
 * `structuredClone` and `postMessage`, so that any thread can open what another thread found.
 */
import type { Files } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import { type ContentReader, openBytes, openFile } from './content-reader.ts';
import type { ListedItem } from './listing.ts';
import { PieceReader } from './piece-reader.ts';
import type { Pieces } from './pieces.ts';

/** Where the content of a file is. */
export type ContentSource = FileSource | BytesSource | PiecesSource;

/** A file of the dump as it is. */
export interface FileSource {
  readonly kind: 'file';
  readonly item: ListedItem;
}

/** Bytes in memory: an image that was rewritten. */
export interface BytesSource {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

/** A pages file that is put together from those of several dumps. */
export interface PiecesSource {
  readonly kind: 'pieces';
  readonly pieces: Pieces;
  /** The pages files, by the index that pieces have; undefined for what cannot be read. */
  readonly items: readonly (ListedItem | undefined)[];
}

/**
 * Opens content; the caller closes it.
 *
 * @throws {StoreError} INCOMPLETE when a file has changed, STORAGE when it cannot be read.
 */
export function openContent(source: ContentSource, files: Files = nodeFiles): ContentReader {
  switch (source.kind) {
    case 'file':
      return openFile(files, source.item);
    case 'bytes':
      return openBytes(source.bytes);
    case 'pieces':
      return new PieceReader(files, source.pieces, source.items);
  }
}
