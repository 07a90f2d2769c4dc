/** What is in a snapshot, read from its manifest and the small images: for `show`. */
import { describeProcesses, type ProcessDescription } from '../criu/index.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { StoreContext } from './context.ts';
import { readManifest } from './read-manifest.ts';
import { findPagesNow } from './snapshot-pages.ts';
import { StoredFileReader } from './stored-file-reader.ts';

/** A file of a snapshot's image directory. */
export interface ImageDescription {
  /** Its name; bytes that are not UTF-8 appear as U+FFFD. */
  readonly name: string;
  readonly kind: 'file' | 'directory';
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** The memory space whose pages it holds: `pagemap-<pid>` or `pagemap-shmem-<id>`. */
  readonly space: string | undefined;
}

/** What is in a snapshot. */
export interface SnapshotDescription {
  readonly images: readonly ImageDescription[];
  /** The processes, as far as the images describe them. */
  readonly processes: readonly ProcessDescription[];
  /** Bytes of a page of the dump. */
  readonly dumpPageBytes: number;
}

/** Larger images are not read for a description. */
const MAX_IMAGE_BYTES = 16 * 1024 * 1024;

/** Reads what a snapshot holds, without its memory. */
export function describeSnapshot(context: StoreContext, row: SnapshotRow): SnapshotDescription {
  const manifest = readManifest(context, row);
  const images = manifest.entries.map(({ name, mode, content }): ImageDescription => ({
    name: Buffer.from(name).toString(),
    kind: content === undefined ? 'directory' : 'file',
    mode,
    sizeBytes: content?.sizeBytes ?? 0,
    space: content?.addresses?.name,
  }));
  const processes = readProcesses(context, row);
  return { images, processes, dumpPageBytes: manifest.dumpPageBytes };
}

function readProcesses(context: StoreContext, row: SnapshotRow): readonly ProcessDescription[] {
  const snapshot = findPagesNow(context, row);
  const files = new Map(snapshot.files.map((file) => [Buffer.from(file.name).toString(), file]));
  const reader = new StoredFileReader(context);
  try {
    return describeProcesses((image) => {
      const file = files.get(image);
      if (file === undefined || file.content.sizeBytes > MAX_IMAGE_BYTES) return undefined;
      return reader.read(row.id, file);
    });
  } catch (error) {
    // Images are stored whatever is in them; one that cannot be decoded describes nothing.
    if (error instanceof StoreError && error.code === 'INVALID_IMAGE') return [];
    throw error;
  } finally {
    reader.close();
  }
}
