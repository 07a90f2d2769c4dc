/** Reads stored files on the calling thread: images that describe others, trees, archives. */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { NO_CELLS } from '../slices/page-cells.ts';
import { LEAF_BYTES } from '../slices/leaf-buffer.ts';
import { readLeaf } from '../slices/read.ts';
import { Session, ThreadParts } from '../slices/session.ts';
import type { ReadRequest } from '../slices/tasks.ts';
import type { StoreContext } from './context.ts';
import { readRequests } from './read-requests.ts';
import type { StoredFile } from './snapshot-pages.ts';

/** Decoded frames to keep: what small files need. */
const CACHE_BYTES = 4 * 1024 * 1024;

/** Reads stored files. */
export class StoredFileReader {
  readonly #parts: ThreadParts;
  readonly #session: Session;

  constructor(context: StoreContext) {
    const { files, zstd, layout, segments } = context;
    this.#parts = new ThreadParts(files, zstd);
    this.#session = new Session(this.#parts, {
      packs: layout.packs,
      segments: segments.table.buffer,
      generation: segments.generation,
      cacheBytes: CACHE_BYTES,
      cells: NO_CELLS,
      lostFrames: [],
      refuseLost: false,
      fresh: true,
      sources: [],
      head: undefined,
    });
  }

  /** The content of a file, leaf by leaf against what was captured. @throws StoreError CORRUPT. */
  read(snapshot: string, file: StoredFile): Uint8Array {
    const bytes = new Uint8Array(file.content.sizeBytes);
    for (const request of readRequests(snapshot, file, undefined)) {
      const leaves = request.leaves.length / DIGEST_BYTES;
      for (let leaf = 0; leaf < leaves; leaf++) {
        bytes.set(readLeaf(this.#session, request, leaf), request.offset + leaf * 512 * PAGE_BYTES);
      }
    }
    return bytes;
  }

  /** The same in steps, for whoever must not hold the thread: a part after each leaf. */
  *readParts(snapshot: string, file: StoredFile): Generator<Uint8Array> {
    for (const request of readRequests(snapshot, file, undefined)) {
      for (let leaf = 0; leaf * LEAF_BYTES < request.bytes; leaf++) {
        yield readLeaf(this.#session, request, leaf);
      }
    }
  }

  /** One leaf of a file; valid until the next one is read. */
  readLeafOf(request: ReadRequest, leaf: number): Uint8Array {
    return readLeaf(this.#session, request, leaf);
  }

  /** Closes what is open. */
  close(): void {
    this.#session.close();
    this.#parts.close();
  }
}
