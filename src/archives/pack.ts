/**
 * Writes an archive from its layout and the contents that are left of it: what was unpacked and
 * did not change comes out byte for byte, but for a compressed `rootfs-diff.tar`, which is equal
 * once decompressed.
 */
import { StoreError } from '../errors.ts';
import type { FilePath, Files } from '../files/files.ts';
import { readUpTo } from '../files/transfer.ts';
import { compress, type Compression } from './compression.ts';
import { cleanPath } from './member-names.ts';
import { paced } from './pace.ts';
import { latin1 } from './pax.ts';
import { isLayer } from './rootfs-diff.ts';
import { MemberFile } from './spill.ts';
import { asciiBytes } from './tar-header.ts';
import { joinTar, measureTar, NO_CONTENT, type TarContent, type TarLayout } from './tar-joiner.ts';
import type { TarMember } from './tar-member.ts';
import {
  ARCHIVE_LAYOUT,
  below,
  DELETED_MEMBER,
  DIFF_COMPRESSION,
  DIFF_LAYOUT,
  DIFF_MEMBER,
  FILES_DIRECTORY,
  imageName,
  MEMBERS_DIRECTORY,
} from './tree-path.ts';
import { isWhiteoutName } from './whiteouts.ts';

/** Where the parts of an archive come from. */
export interface ArchiveSource {
  /** What the archive is called in errors. */
  readonly file: string;
  /** The content of a file of the tree; of a hard link, that of its file. */
  content(path: Uint8Array): TarContent | undefined;
  /** A file of the image directory; one that is not there any more is left out. */
  image(name: Uint8Array): TarContent | undefined;
  /** Where a compressed `rootfs-diff.tar` is made, since its length comes before it. */
  readonly staging: { readonly files: Files; readonly directory: string };
  readonly signal?: AbortSignal | undefined;
}

const COPY_BYTES = 256 * 1024;

/** The bytes of the archive, not compressed. Each chunk is valid until the next is asked for. */
export async function* packArchive(source: ArchiveSource): AsyncGenerator<Uint8Array, void> {
  const layout = layoutOf(source, ARCHIVE_LAYOUT);
  if (layout === undefined) throw missing(source, latin1(ARCHIVE_LAYOUT));
  const diff = await prepareDiff(source);
  try {
    const chunks = joinTar(layout, (member) => outerContent(source, member, diff?.content));
    yield* paced(chunks, source.signal);
  } finally {
    diff?.remove();
  }
}

interface PreparedDiff {
  readonly content: TarContent;
  remove(): void;
}

/** The tar of the container's files, if it was taken apart. */
async function prepareDiff(source: ArchiveSource): Promise<PreparedDiff | undefined> {
  const layout = layoutOf(source, DIFF_LAYOUT);
  if (layout === undefined) return undefined;
  const compression = compressionOf(source);
  const deleted = source.content(below(MEMBERS_DIRECTORY, asciiBytes(DELETED_MEMBER)));
  const hasWhiteouts = isLayer(compression, deleted !== undefined);
  const contentOf = (member: TarMember): TarContent => innerContent(source, member, hasWhiteouts);
  if (compression === 'none') {
    const sizeBytes = await measureTar(layout, contentOf, source.signal);
    const content = { sizeBytes, chunks: () => joinTar(layout, contentOf) };
    return { content, remove: () => undefined };
  }
  const { files, directory } = source.staging;
  const path = `${directory}/rootfs-diff.compressed`;
  const file = new MemberFile(files, path);
  try {
    const tar = paced(joinTar(layout, contentOf), source.signal);
    for await (const chunk of compress(tar, compression, source.signal)) file.write(chunk);
  } catch (error) {
    files.unlink(path);
    throw error;
  } finally {
    file.close();
  }
  return { content: fileContent(files, path), remove: () => files.unlink(path) };
}

function compressionOf(source: ArchiveSource): Compression {
  const marker = source.content(DIFF_COMPRESSION);
  if (marker === undefined) return 'none';
  const text = marker.sizeBytes > 10 ? '' : [...marker.chunks()].map(latin1).join('');
  if (text === 'gzip' || text === 'zstd') return text;
  const message = `${latin1(DIFF_COMPRESSION)} names no known compression`;
  throw new StoreError('CORRUPT', message, { file: source.file });
}

function outerContent(
  source: ArchiveSource,
  member: TarMember,
  diff: TarContent | undefined,
): TarContent | undefined {
  const path = cleaned(source, member);
  const image = imageName(latin1(path));
  // A restored image directory is complete: it has no parent that a link could name.
  if (member.kind === 'link') return undefined;
  if (member.kind !== 'file') return NO_CONTENT;
  if (image !== undefined && image.name !== '') {
    return source.image(path.slice(image.member.length + 1));
  }
  if (diff !== undefined && latin1(path) === DIFF_MEMBER) return diff;
  return needed(source, below(MEMBERS_DIRECTORY, path));
}

function innerContent(source: ArchiveSource, member: TarMember, hasWhiteouts: boolean): TarContent {
  if (member.kind !== 'file') return NO_CONTENT;
  const path = cleaned(source, member);
  if (hasWhiteouts && isWhiteoutName(path)) return NO_CONTENT;
  return needed(source, below(FILES_DIRECTORY, path));
}

function cleaned({ file }: ArchiveSource, member: TarMember): Uint8Array {
  try {
    return cleanPath(member.path, member.kind === 'directory');
  } catch (cause) {
    // It was checked when the archive was unpacked.
    throw new StoreError('CORRUPT', 'a layout has a name that is not safe', { file, cause });
  }
}

function needed(source: ArchiveSource, path: Uint8Array): TarContent {
  const content = source.content(path);
  if (content === undefined) throw missing(source, Buffer.from(path).toString());
  return content;
}

function missing({ file }: ArchiveSource, path: string): StoreError {
  return new StoreError('CORRUPT', `the archive lacks the content of ${path}`, { file });
}

function layoutOf(source: ArchiveSource, path: Uint8Array): TarLayout | undefined {
  const content = source.content(path);
  if (content === undefined) return undefined;
  return { file: `${source.file}:${latin1(path)}`, chunks: () => content.chunks() };
}

/** What is in a file on a disk. */
export function fileContent(files: Files, path: FilePath): TarContent {
  const { sizeBytes } = files.lstat(path);
  return {
    sizeBytes,
    *chunks() {
      const fd = files.open(path, 'read');
      try {
        const buffer = new Uint8Array(COPY_BYTES);
        for (let position = 0; position < sizeBytes;) {
          const length = readUpTo(files, fd, buffer, position);
          if (length === 0) return;
          position += length;
          yield buffer.subarray(0, length);
        }
      } finally {
        files.close(fd);
      }
    },
  };
}
