/** What is in a snapshot, read from its manifest and the small images: for `show`. */
import { describeProcesses, type ProcessDescription } from '../criu/index.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import { StoredTree } from '../tree/tree.ts';
import type { StoreContext } from './context.ts';
import { readManifest } from './read-manifest.ts';
import { FILES_PREFIX } from './capture-files.ts';
import { nodesBelow } from './restore-files.ts';
import { findPagesNow, type StoredSnapshot } from './snapshot-pages.ts';
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

/** The container's files in a snapshot, counted. */
export interface FilesDescription {
  /** Regular files, each name of one that has several. */
  readonly files: number;
  readonly directories: number;
  /** Links, devices, fifos, sockets. */
  readonly others: number;
  /** Bytes of the files, holes included. */
  readonly bytes: number;
  /** Paths in the container that belong to its host, and were left out. */
  readonly hostFiles: readonly string[];
}

/** What is in a snapshot. */
export interface SnapshotDescription {
  readonly images: readonly ImageDescription[];
  /** Undefined when the container's files were not captured. */
  readonly files: FilesDescription | undefined;
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
  const entries = manifest.entries.filter(({ role }) => role === undefined);
  const images = entries.map(({ name, mode, content }): ImageDescription => ({
    name: Buffer.from(name).toString(),
    kind: content === undefined ? 'directory' : 'file',
    mode,
    sizeBytes: content?.sizeBytes ?? 0,
    space: content?.addresses?.name,
  }));
  const snapshot = findPagesNow(context, row);
  const reader = new StoredFileReader(context);
  try {
    const processes = readProcesses(snapshot, reader);
    const files = describeFiles(context, snapshot, reader);
    return { images, files, processes, dumpPageBytes: manifest.dumpPageBytes };
  } finally {
    reader.close();
  }
}

function describeFiles(
  { layout }: StoreContext,
  snapshot: StoredSnapshot,
  reader: StoredFileReader,
): FilesDescription | undefined {
  const stored = snapshot.files.find(({ role }) => role === 'tree');
  if (stored?.content.addresses === undefined) return undefined;
  const { row } = snapshot;
  const bytes = reader.read(row.id, stored);
  const tree = new StoredTree(bytes, stored.content.addresses, layout.packFile(row.packName));
  const counts = { files: 0, directories: 0, others: 0, bytes: 0 };
  const hostFiles: string[] = [];
  for (const { kind, path, sizeBytes } of nodesBelow({ tree }, FILES_PREFIX)) {
    counts.bytes += sizeBytes;
    if (kind === 'file' || kind === 'hard') counts.files += 1;
    else if (kind === 'directory') counts.directories += 1;
    else if (kind === 'host') hostFiles.push(`/${Buffer.from(path).toString()}`);
    else counts.others += 1;
  }
  return { ...counts, hostFiles };
}

function readProcesses(
  { row, files: stored }: StoredSnapshot,
  reader: StoredFileReader,
): readonly ProcessDescription[] {
  const files = new Map(stored.map((file) => [Buffer.from(file.name).toString(), file]));
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
  }
}
