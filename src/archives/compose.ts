/**
 * Writes an archive of a snapshot that did not come from one: the image directory as the member
 * `checkpoint`, and the container's files as `rootfs-diff.tar`. What is gone is a character device
 * 0/0 in there, and a replaced directory has the attribute of overlayfs. Equal snapshots make
 * equal bytes.
 */
import { StoreError } from '../errors.ts';
import { isRelativePath } from '../files/relative-path.ts';
import type { TreeNode } from '../tree/entry.ts';
import { type LinkTargets, NodeChecker } from './composed-nodes.ts';
import { printableName } from './member-names.ts';
import { paced, Turns } from './pace.ts';
import { latin1 } from './pax.ts';
import { asciiBytes, paddingOf } from './tar-header.ts';
import { checkedChunks, type TarContent } from './tar-joiner.ts';
import { encodeMember, measureMember, type MemberToWrite, TAR_END_BYTES } from './tar-writer.ts';
import { below, DIFF_MEMBER, type ImagesMember } from './tree-path.ts';

/** A file or directory of an image directory. */
export interface ImageToWrite {
  readonly name: Uint8Array;
  readonly mode: number;
  /** Undefined for a directory. */
  readonly content: TarContent | undefined;
}

/** What an archive is made of. */
export interface ComposedSource<Node extends TreeNode> {
  /** What the archive is called in errors. */
  readonly file: string;
  readonly member: ImagesMember;
  /** Permission bits of the image directory. */
  readonly mode: number;
  /** Directories before what is in them. */
  readonly images: Iterable<ImageToWrite>;
  /** The time that all members get. */
  readonly modifiedSeconds: number;
  /**
   * The container's files in the order of a tree, the empty path for their root. They are gone
   * through twice. Undefined where there are none.
   */
  readonly nodes: (() => Iterable<Node>) | undefined;
  /** What is in a file, holes as zeros. */
  content(node: Node): TarContent;
  readonly signal?: AbortSignal | undefined;
}

/** The bytes of the archive, not compressed. Each chunk is valid until the next is asked for. */
export async function* composeArchive<Node extends TreeNode>(
  source: ComposedSource<Node>,
): AsyncGenerator<Uint8Array, void> {
  const diff = await measuredFiles(source);
  yield* paced(tarBytes(outerParts(source, diff), source.file), source.signal);
}

/** A member with its content, if it is a file. */
interface Part {
  readonly member: MemberToWrite;
  readonly content: TarContent | undefined;
}

function* outerParts<Node extends TreeNode>(
  source: ComposedSource<Node>,
  diff: TarContent | undefined,
): Generator<Part> {
  const { mode, modifiedSeconds } = source;
  const top = asciiBytes(source.member);
  const partOf = (path: Uint8Array, bits: number, content: TarContent | undefined): Part => ({
    member: {
      ...{ path, kind: content === undefined ? 'directory' : 'file', mode: bits, uid: 0, gid: 0 },
      ...{ modifiedSeconds, modifiedNanoseconds: 0, sizeBytes: content?.sizeBytes ?? 0 },
      ...{ target: undefined, deviceMajor: 0, deviceMinor: 0, xattrs: [] },
    },
    content,
  });
  yield partOf(top, mode, undefined);
  for (const image of source.images) {
    checkImage(image, source.file);
    yield partOf(below(top, image.name), image.mode, image.content);
  }
  if (diff !== undefined) yield partOf(asciiBytes(DIFF_MEMBER), 0o600, diff);
}

function checkImage({ name }: ImageToWrite, file: string): void {
  if (name.length > 0 && isRelativePath(name)) return;
  const message = `the stored name ${printableName(name)} is none inside a directory`;
  throw new StoreError('CORRUPT', message, { file });
}

/** The tar of the container's files, whose length stands before it. */
async function measuredFiles<Node extends TreeNode>(
  source: ComposedSource<Node>,
): Promise<TarContent | undefined> {
  const { file, nodes, signal } = source;
  if (nodes === undefined) return undefined;
  const targets: LinkTargets = new Map();
  const inner = (): Generator<Part> => innerParts(nodes(), source, new NodeChecker(file, targets));
  const sizeBytes = await measure(inner(), signal);
  return { sizeBytes, chunks: () => tarBytes(inner(), file) };
}

function* innerParts<Node extends TreeNode>(
  nodes: Iterable<Node>,
  source: ComposedSource<Node>,
  checker: NodeChecker,
): Generator<Part> {
  // Processes make sockets anew, and files of the host are the host's: no tar has them.
  const leftOut = new Set<string>();
  for (const node of nodes) {
    checker.check(node);
    const { kind, target } = node;
    const isOfLeftOut = kind === 'hard' && target !== undefined && leftOut.has(latin1(target));
    if (kind === 'socket' || kind === 'host' || isOfLeftOut) {
      leftOut.add(latin1(node.path));
      continue;
    }
    const path = node.path.length === 0 ? ROOT : node.path;
    const content = kind === 'file' ? source.content(node) : undefined;
    yield { member: { ...node, kind, path }, content };
  }
}

const ROOT = asciiBytes('.');

function* tarBytes(parts: Iterable<Part>, file: string): Generator<Uint8Array, void> {
  for (const { member, content } of parts) {
    yield encodeMember(member);
    if (content === undefined) continue;
    yield* checkedChunks(content, file);
    const padding = paddingOf(content.sizeBytes);
    if (padding > 0) yield new Uint8Array(padding);
  }
  yield new Uint8Array(TAR_END_BYTES);
}

async function measure(parts: Iterable<Part>, signal: AbortSignal | undefined): Promise<number> {
  let sizeBytes = TAR_END_BYTES;
  const turns = new Turns(signal);
  turns.check();
  for (const { member, content } of parts) {
    const contentBytes = content?.sizeBytes ?? 0;
    sizeBytes += measureMember(member) + contentBytes + paddingOf(contentBytes);
    if (turns.isDue) await turns.give();
  }
  return sizeBytes;
}
