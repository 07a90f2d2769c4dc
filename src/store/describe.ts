/** What is in a snapshot, read from its manifest and the small images: for `show`. */
import { describeProcesses, type ProcessDescription } from '../criu/index.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { Content, Manifest } from '../manifest/manifest.ts';
import type { StoreContext } from './context.ts';
import { PageReader } from './page-reader.ts';
import { readManifest } from './read-manifest.ts';
import { SpaceReader } from './space-reader.ts';

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
  const processes = readProcesses(context, row, manifest);
  return { images, processes, dumpPageBytes: manifest.dumpPageBytes };
}

function readProcesses(
  context: StoreContext,
  row: SnapshotRow,
  manifest: Manifest,
): readonly ProcessDescription[] {
  const pages = new PageReader(context);
  pages.useSegments(manifest.segments, row.id);
  const spaces = new SpaceReader(pages);
  const contents = new Map<string, Content>();
  for (const { name, content } of manifest.entries) {
    if (content !== undefined) contents.set(Buffer.from(name).toString(), content);
  }
  const readImage = (image: string): Uint8Array | undefined => {
    const content = contents.get(image);
    if (content === undefined || content.sizeBytes > MAX_IMAGE_BYTES) return undefined;
    const bytes = new Uint8Array(content.sizeBytes);
    const place = { snapshot: row.id, image, segmentCount: manifest.segments.length };
    for (const slice of spaces.slices(content, place)) bytes.set(slice.bytes, slice.offset);
    return bytes;
  };
  try {
    return describeProcesses(readImage);
  } catch (error) {
    // Images are stored whatever is in them; one that cannot be decoded describes nothing.
    if (error instanceof StoreError && error.code === 'INVALID_IMAGE') return [];
    throw error;
  }
}
