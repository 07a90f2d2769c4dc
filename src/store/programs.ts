/**
 * Which program runs in which memory space, read from the small images of a dump, on disk or
 * stored. A hint that tells spaces apart: images that cannot be read give none.
 */
import { describeProcesses, type ReadImage } from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import { openContent, type ImageDirectory } from '../images/index.ts';
import type { StoreContext } from './context.ts';
import type { Programs, ProgramSource } from './match-files.ts';
import type { StoredSnapshot } from './snapshot-pages.ts';
import { StoredFileReader } from './stored-file-reader.ts';

/** Larger images describe no process, and are not read. */
export const MAX_IMAGE_BYTES: number = 16 * 1024 * 1024;

/** The programs of a directory, and of the snapshot that it may continue. */
export function programSource(
  context: StoreContext,
  images: ImageDirectory,
  base: StoredSnapshot | undefined,
): ProgramSource {
  return {
    ofImages: () => programsOf(imageReader(context, images)),
    ofBase: () => (base === undefined ? new Map() : programsOfSnapshot(context, base)),
  };
}

function programsOfSnapshot(context: StoreContext, base: StoredSnapshot): Programs {
  const files = new Map(base.files.map((file) => [Buffer.from(file.name).toString(), file]));
  const reader = new StoredFileReader(context);
  try {
    return programsOf((name) => {
      const file = files.get(name);
      if (file === undefined || file.content.sizeBytes > MAX_IMAGE_BYTES) return undefined;
      return reader.read(base.row.id, file);
    });
  } finally {
    reader.close();
  }
}

/** Reads small images of a directory; larger ones are not there for it. */
export function imageReader({ files }: StoreContext, images: ImageDirectory): ReadImage {
  const entries = new Map(
    images.entries.map((entry) => [Buffer.from(entry.name).toString(), entry]),
  );
  return (name) => {
    const entry = entries.get(name);
    if (entry?.source === undefined || entry.sizeBytes > MAX_IMAGE_BYTES) return undefined;
    const content = openContent(entry.source, files);
    try {
      const bytes = new Uint8Array(entry.sizeBytes);
      content.read(bytes, 0);
      return bytes;
    } finally {
      content.close();
    }
  };
}

function programsOf(readImage: ReadImage): Programs {
  try {
    const processes = describeProcesses(readImage);
    return new Map(
      processes.flatMap(({ pid, executable, command }) => {
        const program = executable ?? command;
        return program === undefined ? [] : [[`pagemap-${pid}`, program] as const];
      }),
    );
  } catch (error) {
    if (error instanceof StoreError) return new Map();
    throw error;
  }
}
