/**
 * Unpacks the checkpoint archive of a container engine into a private directory, front to back
 * and in bounded memory: an image directory as CRIU wrote it, and a tree of everything else.
 *
 * The archive is not trusted. Nothing is written outside the directory, and inside only files and
 * directories with names of our own or with names of images, which were checked; links, devices
 * and owners exist as nodes only.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { type ByteStream, type Compression, decompress } from './compression.ts';
import { type Engine, engineOf } from './engine.ts';
import { ENGINE_LABEL, readLabels } from './labels.ts';
import { archiveLimits, DELETED_FILES_BYTES_MAX, LimitCounter, type SomeLimits } from './limits.ts';
import { OuterMembers, type SpilledMember, type SpillTarget } from './outer-members.ts';
import { isLayer, splitRootfsDiff } from './rootfs-diff.ts';
import { readSpilled } from './spill.ts';
import { asciiBytes } from './tar-header.ts';
import { TarSplitter } from './tar-splitter.ts';
import type { SourceNode, SourcePlace } from '../tree/entry.ts';
import { TAR_END_BYTES } from './tar-writer.ts';
import { madeNode, memberNode, TreeBuilder } from './tree-builder.ts';
import {
  ARCHIVE_LAYOUT,
  below,
  DELETED_MEMBER,
  DIFF_COMPRESSION,
  DIFF_LAYOUT,
  DIFF_MEMBER,
  type ImagesMember,
  MEMBERS_DIRECTORY,
} from './tree-path.ts';
import { applyWhiteouts, parseDeletedFiles, type Whiteout } from './whiteouts.ts';

/** How to unpack. */
export interface UnpackOptions {
  /** What the archive is called in errors. */
  readonly file: string;
  /** An existing empty directory that nobody else uses. What is in it after a failure is junk. */
  readonly staging: string;
  readonly limits?: SomeLimits | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many more bytes of the input were read. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** An archive, unpacked. */
export interface UnpackedArchive {
  readonly compression: Compression;
  /** Who wrote it, as far as that can be told. */
  readonly engine: Engine | undefined;
  readonly images: {
    /** The image directory on the disk. */
    readonly directory: string;
    readonly member: ImagesMember;
    /** What its `parent` link says, which is not on the disk. */
    readonly parent: Uint8Array | undefined;
  };
  /** In the order of a tree, with all directories above them; the root itself is not among them. */
  readonly nodes: readonly SourceNode[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Unpacks an archive.
 *
 * @throws StoreError INVALID_IMAGE for an archive that is damaged, hostile or none at all;
 * UNSUPPORTED_IMAGE for one beyond a limit, or with sparse members; ABORTED.
 */
export async function unpackArchive(
  files: Files,
  input: ByteStream,
  options: UnpackOptions,
): Promise<UnpackedArchive> {
  const { file, staging, signal } = options;
  const limits = archiveLimits(options.limits);
  const target = { files, file, staging, counter: new LimitCounter(limits, file) };
  try {
    const tree = new TreeBuilder();
    const members = new OuterMembers(target, tree);
    try {
      const compression = await readMembers(input, members, target, options);
      const images = imagesOf(members, file);
      const hasLayer = await addParts(members, tree, target, signal);
      const found = readLabels(files, memberOf(tree, 'config.dump'), memberOf(tree, 'spec.dump'));
      const engine = engineOf(members.seen, hasLayer);
      const labels = engine === undefined ? found : { [ENGINE_LABEL]: engine, ...found };
      return { compression, engine, images, nodes: tree.finish(), labels };
    } finally {
      members.close();
    }
  } catch (error) {
    throw systemCode(error) === undefined ? error : storageError('unpack', file, error);
  }
}

async function readMembers(
  input: ByteStream,
  members: OuterMembers,
  { file, counter }: SpillTarget,
  { signal, onBytes }: UnpackOptions,
): Promise<Compression> {
  const { compression, chunks } = await decompress(input, {
    file,
    signal,
    onInput: onBytes,
    onOutput: (count) => counter.addUnpacked(count),
  });
  const splitter = new TarSplitter(members, { file, contents: 'present' });
  for await (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  members.flush();
  return compression;
}

function imagesOf(members: OuterMembers, file: string): UnpackedArchive['images'] {
  const { images: member, imagesDirectory: directory, parentLink: parent } = members;
  if (member !== undefined) return { directory, member, parent };
  throw new StoreError('INVALID_IMAGE', 'the archive has no member checkpoint', { file });
}

/** Adds the layouts and the container's files. Returns whether those are an OCI layer. */
async function addParts(
  members: OuterMembers,
  tree: TreeBuilder,
  target: SpillTarget,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { files, file, staging, counter } = target;
  const { layout, rootfsDiff } = members;
  tree.put(madeFile(ARCHIVE_LAYOUT, layout.place, layout.sizeBytes));
  const deleted = readDeleted(tree, target);
  if (rootfsDiff === undefined || isBlank(files, rootfsDiff)) {
    if (rootfsDiff !== undefined) tree.put(asItIs(rootfsDiff));
    applyWhiteouts(tree, deleted ?? [], counter);
    return false;
  }
  const layoutPath = `${staging}/rootfs-diff.layout`;
  const { compression, layoutBytes } = await splitRootfsDiff(
    {
      ...{ files, counter, signal, deleted, layoutPath },
      file: `${file}:${DIFF_MEMBER}`,
      path: rootfsDiff.path,
      sizeBytes: rootfsDiff.member.sizeBytes,
      unpackedPath: `${staging}/rootfs-diff.unpacked`,
    },
    tree,
  );
  tree.put(madeFile(DIFF_LAYOUT, { path: layoutPath, offset: 0 }, layoutBytes));
  if (compression !== 'none') {
    const bytes = asciiBytes(compression);
    tree.put(madeFile(DIFF_COMPRESSION, members.addContent(bytes), bytes.length));
  }
  return isLayer(compression, deleted !== undefined);
}

/**
 * Whether it is no tar and means none either: empty, or zeros that are too few to end a tar, as
 * something leaves behind that meant to write one and had nothing to write.
 */
function isBlank(files: Files, { path, member: { sizeBytes } }: SpilledMember): boolean {
  if (sizeBytes >= TAR_END_BYTES) return false;
  return readSpilled(files, { path, offset: 0 }, sizeBytes).every((byte) => byte === 0);
}

/** A member that is kept without being taken apart. */
function asItIs({ path, member }: SpilledMember): SourceNode {
  const content = { path, offset: 0 };
  return memberNode(below(MEMBERS_DIRECTORY, asciiBytes(DIFF_MEMBER)), member, undefined, content);
}

function readDeleted(tree: TreeBuilder, target: SpillTarget): Whiteout[] | undefined {
  const node = memberOf(tree, DELETED_MEMBER);
  if (node?.content === undefined) return undefined;
  const file = `${target.file}:${DELETED_MEMBER}`;
  if (node.sizeBytes > DELETED_FILES_BYTES_MAX) {
    const message = `more than ${DELETED_FILES_BYTES_MAX} bytes of deleted files`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file });
  }
  const bytes = readSpilled(target.files, node.content, node.sizeBytes);
  return parseDeletedFiles(bytes, file, target.counter);
}

function memberOf(tree: TreeBuilder, name: string): SourceNode | undefined {
  return tree.get(below(MEMBERS_DIRECTORY, asciiBytes(name)));
}

function madeFile(path: Uint8Array, content: SourcePlace, sizeBytes: number): SourceNode {
  return { ...madeNode(path, 'file', 0o600), sizeBytes, content };
}
