/**
 * Import: a checkpoint archive of a container engine, or a directory of one, becomes a snapshot.
 * An archive is taken apart in this process's staging area, read once from front to back, and then
 * captured like any other: its images as images, everything else as files of the snapshot's tree.
 * The parent of an incremental dump is a snapshot: no link of an archive is ever followed.
 */
import { join } from 'node:path';
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { type ArchiveLimits, archiveLimits } from '../archives/limits.ts';
import { unpackArchive } from '../archives/unpack.ts';
import type { Files } from '../files/files.ts';
import { capture } from './capture.ts';
import type { CaptureSource } from './capture-source.ts';
import { Pacer } from './clock.ts';
import { writableStaging, type OperationOptions, type StoreContext } from './context.ts';

/** An archive: the path of a file or directory, or its bytes. */
export type ArchiveInput = string | AsyncIterable<Uint8Array>;

/** What an import takes. */
export interface ImportOptions
  extends OperationOptions, Pick<CaptureSource, 'takenAt' | 'labels' | 'parent'> {
  /** How large an archive may be; see {@link ArchiveLimits}. */
  readonly limits?:
    { readonly [Name in keyof ArchiveLimits]?: ArchiveLimits[Name] | undefined } | undefined;
}

const READ_BYTES = 1024 * 1024;

/** Imports into a timeline and returns the row of the new snapshot. */
export async function importArchive(
  context: StoreContext,
  timeline: string,
  archive: ArchiveInput,
  options: ImportOptions,
): Promise<SnapshotRow> {
  checkInput(archive);
  archiveLimits(options.limits);
  const { takenAt, labels, parent } = options;
  const source = { takenAt, labels, parent };
  if (typeof archive === 'string' && isDirectory(context.files, archive)) {
    return await capture(context, timeline, { ...source, images: archive }, options);
  }
  const staging = writableStaging(context).newPath('.import');
  const { files } = context;
  files.mkdir(staging, 0o700);
  try {
    const unpacked = await unpack(context, archive, staging, options);
    const { images, nodes } = unpacked;
    if (images.parent !== undefined) linkNowhere(files, images.directory);
    const allLabels = { ...unpacked.labels, ...labels };
    const toCapture = { ...source, images: images.directory, labels: allLabels };
    try {
      return await capture(context, timeline, toCapture, options, { kind: 'nodes', nodes });
    } catch (error) {
      throw inArchive(error, images, typeof archive === 'string' ? archive : STREAM_NAME);
    }
  } finally {
    removeQuietly(files, staging);
  }
}

/** The snapshot stays, or the failure, whatever comes of this: closing the store removes it too. */
function removeQuietly(files: Files, staging: string): void {
  try {
    files.removeTree(staging);
  } catch {
    // See above.
  }
}

/** What a stream is called in errors. */
const STREAM_NAME = 'archive';

/** The error with the name of the member, where it names what the member was unpacked to. */
function inArchive(
  error: unknown,
  { directory, member }: { readonly directory: string; readonly member: string },
  archive: string,
): unknown {
  if (!(error instanceof StoreError) || error.file === undefined) return error;
  const { code, summary, file, offset, snapshot } = error;
  if (file !== directory && !file.startsWith(`${directory}/`)) return error;
  const inside = `${archive}:${member}${file.slice(directory.length)}`;
  return new StoreError(code, summary, { file: inside, offset, snapshot, cause: error });
}

/** What a `parent` link says in place of what the archive said: beside the images, never there. */
const PARENT_IN_STORE = '../parent-in-the-store';

/** Marks images as an incremental dump, whose parent is a snapshot and no directory. */
function linkNowhere(files: Files, images: string): void {
  const link = join(images, 'parent');
  attempt('link', link, () => files.symlink(Buffer.from(PARENT_IN_STORE), Buffer.from(link)));
}

function checkInput(archive: ArchiveInput): void {
  const isPath = typeof archive === 'string' && archive !== '';
  const isStream = typeof archive === 'object' && Symbol.asyncIterator in archive;
  if (!isPath && !isStream) throw new TypeError('an archive is a path or a stream of bytes');
}

async function unpack(
  { files }: StoreContext,
  archive: ArchiveInput,
  staging: string,
  { limits, signal, onProgress }: ImportOptions,
): ReturnType<typeof unpackArchive> {
  const toUnpack = { staging, limits, signal };
  if (typeof archive !== 'string') {
    return await unpackArchive(files, archive, { ...toUnpack, file: STREAM_NAME });
  }
  const fd = attempt('open', archive, () => openArchive(files, archive));
  try {
    const { sizeBytes: total } = attempt('look at', archive, () => files.stat(fd));
    let done = 0;
    const onBytes = (bytes: number): void => {
      done += bytes;
      if (done < total) onProgress?.({ phase: 'archive', done, total });
    };
    const input = readFile(files, fd, archive, signal);
    return await unpackArchive(files, input, { ...toUnpack, file: archive, onBytes });
  } finally {
    files.close(fd);
  }
}

/** The caller's path may be a link; what it leads to must be a file. */
function openArchive(files: Files, path: string): number {
  try {
    return files.openRegular(files.realpath(path));
  } catch (cause) {
    const code = systemCode(cause);
    const place = { file: path, cause };
    if (code === 'ENOENT') throw new StoreError('NOT_FOUND', 'there is no archive', place);
    if (code === 'EINVAL') throw new StoreError('INVALID_IMAGE', 'an archive is a file', place);
    throw cause;
  }
}

function isDirectory(files: Files, path: string): boolean {
  try {
    return files.lstat(join(path, '.')).kind === 'directory';
  } catch {
    // What is wrong with it is said when it is opened.
    return false;
  }
}

/** A file in parts. */
async function* readFile(
  files: Files,
  fd: number,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const pacer = new Pacer(signal);
  for (let position = 0; ;) {
    await pacer.pause();
    // Not the same each time: decompressors keep what they have not yet taken.
    const bytes = new Uint8Array(READ_BYTES);
    const count = attempt('read', path, () => files.read(fd, bytes, position));
    if (count === 0) return;
    position += count;
    yield bytes.subarray(0, count);
  }
}

function attempt<T>(action: string, file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw storageError(action, file, cause);
  }
}
