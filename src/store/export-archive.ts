/**
 * Export: a snapshot becomes an archive of the engine that it came from, member for member. It is
 * written front to back, every leaf checked before a byte of it is used; a file appears under its
 * name when it is complete.
 */
import { dirname, join, resolve } from 'node:path';
import { compress, type Compression } from '../archives/compression.ts';
import { composeArchive, type ImageToWrite } from '../archives/compose.ts';
import { packArchive, type ArchiveSource } from '../archives/pack.ts';
import { writeStream } from '../archives/stream-target.ts';
import type { TarContent } from '../archives/tar-joiner.ts';
import { ARCHIVE_LAYOUT } from '../archives/tree-path.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError, storageError, systemCode } from '../errors.ts';
import { AppendFile } from '../files/append-file.ts';
import type { Files } from '../files/files.ts';
import { exists, syncDirectory } from '../files/transfer.ts';
import type { TreeEntry } from '../tree/body.ts';
import { FILES_PREFIX } from './capture-files.ts';
import { newName, Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { checkOutside } from './outside.ts';
import { nodesBelow } from './restore-files.ts';
import { findPages, type StoredFile, type StoredSnapshot } from './snapshot-pages.ts';
import { readTree, StoredContents, type SnapshotTree } from './stored-tree.ts';
import { StoredFileReader } from './stored-file-reader.ts';

/** Where an archive goes: the path of a new file, or a stream, which is ended. */
export type ArchiveTarget = string | NodeJS.WritableStream;

/** What an export takes. */
export interface ExportOptions extends OperationOptions {
  /** How the archive is compressed; zstd, as podman does it, unless told otherwise. */
  readonly compression?: Compression | undefined;
}

const COMPRESSIONS: readonly unknown[] = ['none', 'gzip', 'zstd'];

/** Writes a snapshot as an archive. */
export async function exportArchive(
  context: StoreContext,
  row: SnapshotRow,
  target: ArchiveTarget,
  options: ExportOptions,
): Promise<void> {
  const { compression = 'zstd', signal, onProgress } = options;
  checkArguments(target, compression);
  if (typeof target === 'string') checkOutside(context, target);
  const pacer = new Pacer(signal);
  const snapshot = await findPages(context, row, pacer);
  const tree = await readTree(context, snapshot, pacer);
  const staging = makeStaging(context);
  const parts = new ArchiveParts(context, snapshot, tree, staging);
  try {
    const bytes = compress(parts.bytes(signal), compression, signal);
    const total = row.logicalBytes;
    const report = (done: number) => onProgress?.({ phase: 'archive', done, total });
    if (typeof target === 'string') await writeFile(context, target, bytes, pacer);
    else await writeStream(target, bytes, signal);
    report(total);
  } finally {
    parts.close();
    removeQuietly(context.files, staging);
  }
}

function checkArguments(target: unknown, compression: unknown): void {
  const isPath = typeof target === 'string' && target !== '';
  const isStream = typeof target === 'object' && target !== null && 'write' in target;
  if (!isPath && !isStream) throw new TypeError('an archive goes to a path or a stream');
  if (COMPRESSIONS.includes(compression)) return;
  throw new RangeError(
    `compression '${String(compression)}' is none of ${COMPRESSIONS.join(', ')}`,
  );
}

/** Where others clean up when this process dies: the files of a container must not stay behind. */
function makeStaging({ files, staging }: StoreContext): string {
  try {
    if (staging === undefined) return files.makeTemporaryDirectory('criu-timeline-export-');
    const path = staging.newPath('.export');
    files.mkdir(path, 0o700);
    return path;
  } catch (cause) {
    throw storageError('make', 'a directory for what is exported', cause);
  }
}

/** The parts of an archive, as they are stored. */
class ArchiveParts {
  readonly #snapshot: StoredSnapshot;
  readonly #tree: SnapshotTree | undefined;
  readonly #entries = new Map<string, TreeEntry>();
  readonly #contents: StoredContents | undefined;
  readonly #images: StoredFileReader;
  /** By their names, each byte a character. */
  readonly #imageFiles: ReadonlyMap<string, StoredFile>;
  readonly #source: Pick<ArchiveSource, 'file' | 'staging'>;

  constructor(
    context: StoreContext,
    snapshot: StoredSnapshot,
    tree: SnapshotTree | undefined,
    staging: string,
  ) {
    this.#snapshot = snapshot;
    this.#tree = tree;
    this.#images = new StoredFileReader(context);
    const images = snapshot.files.filter(({ role }) => role === undefined);
    this.#imageFiles = new Map(images.map((file) => [keyOf(file.name), file]));
    this.#contents = tree && new StoredContents(context, snapshot, tree);
    const file = context.layout.packFile(snapshot.row.packName);
    this.#source = { file, staging: { files: context.files, directory: staging } };
    if (tree === undefined) return;
    const cursor = tree.tree.cursor();
    while (cursor.next()) {
      this.#entries.set(keyOf(cursor.path), { ...cursor.body, path: cursor.path });
    }
  }

  /** The archive, not compressed. */
  bytes(signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    if (!this.#entries.has(keyOf(ARCHIVE_LAYOUT))) {
      return this.#composed(signal);
    }
    return packArchive({
      ...this.#source,
      content: (path) => this.#content(path),
      image: (name) => this.#image(name),
      signal,
    });
  }

  /** An archive of what was captured from directories. */
  #composed(signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const { kind, directoryMode, takenAtMs } = this.#snapshot.manifest;
    const tree = this.#tree;
    return composeArchive({
      file: this.#source.file,
      member: kind === 'restorable' ? 'checkpoint' : 'pre-checkpoint',
      mode: directoryMode,
      images: this.#allImages(),
      modifiedSeconds: Math.floor(takenAtMs / 1000),
      nodes: tree && (() => nodesBelow(tree, FILES_PREFIX)),
      content: (entry) => this.#contentOf(entry),
      signal,
    });
  }

  *#allImages(): Generator<ImageToWrite> {
    for (const { name, mode, content, role } of this.#snapshot.manifest.entries) {
      if (role !== undefined) continue;
      yield { name, mode, content: content && this.#image(name) };
    }
  }

  #contentOf(entry: TreeEntry): TarContent {
    const contents = this.#contents as StoredContents;
    return { sizeBytes: entry.sizeBytes, chunks: () => contents.read(entry) };
  }

  #content(path: Uint8Array): TarContent | undefined {
    const entry = this.#entries.get(keyOf(path));
    const isHard = entry?.kind === 'hard' && entry.target !== undefined;
    const named = isHard ? this.#entries.get(keyOf(entry.target)) : entry;
    if (isHard && named?.kind === 'hard') {
      // Names of names could go round in a circle.
      const message = `${Buffer.from(path).toString()} is one more name of a name`;
      throw new StoreError('CORRUPT', message, { file: this.#source.file });
    }
    return named?.kind === 'file' ? this.#contentOf(named) : undefined;
  }

  #image(name: Uint8Array): TarContent | undefined {
    const file = this.#imageFiles.get(keyOf(name));
    if (file === undefined) return undefined;
    const chunks = () => this.#images.readParts(this.#snapshot.row.id, file);
    return { sizeBytes: file.content.sizeBytes, chunks };
  }

  close(): void {
    this.#images.close();
    this.#contents?.close();
  }
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}

async function writeFile(
  { files }: StoreContext,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  pacer: Pacer,
): Promise<void> {
  const target = resolve(path);
  if (exists(files, target)) throw taken(target);
  const partial = join(dirname(target), `.criu-timeline-${newName()}.partial`);
  let made = partial;
  try {
    const file = new AppendFile(files, partial);
    try {
      for await (const chunk of bytes) {
        file.write(chunk);
        await pacer.pause();
      }
      file.sync();
    } finally {
      file.close();
    }
    giveName(files, partial, target);
    made = target;
    syncDirectory(files, dirname(target));
  } catch (error) {
    removeQuietly(files, made);
    throw systemCode(error) === undefined ? error : storageError('write', target, error);
  }
}

/** What a file system says that has no links. */
const WITHOUT_LINKS: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP'];

/** Not only a rename, which would replace what came to be there meanwhile. */
function giveName(files: Files, partial: string, target: string): void {
  try {
    files.link(partial, target);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'EEXIST') throw taken(target);
    if (!WITHOUT_LINKS.includes(code)) throw cause;
    if (exists(files, target)) throw taken(target);
    files.rename(partial, target);
    return;
  }
  try {
    files.unlink(partial);
  } catch (cause) {
    removeQuietly(files, target);
    throw cause;
  }
}

/** What came before is what is to be told, a failure or not. */
function removeQuietly(files: Files, path: string): void {
  try {
    files.removeTree(path);
  } catch {
    // See above.
  }
}

function taken(file: string): StoreError {
  return new StoreError('EXISTS', 'there is something at this path already', { file });
}
