/**
 * Archives for tests: tars of GNU tar, tars written block by block where no tool would write them,
 * and what an unpacked archive holds in a form that can be compared.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decompress } from '../../src/archives/compression.ts';
import { packArchive } from '../../src/archives/pack.ts';
import type { TarContent } from '../../src/archives/tar-joiner.ts';
import {
  unpackArchive,
  type UnpackedArchive,
  type UnpackOptions,
} from '../../src/archives/unpack.ts';
import { nodeFiles } from '../../src/files/node-files.ts';

/** What is not as usual in a header. */
export interface RawMember {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly owner?: number;
  /** What the header says, if that is not the truth. */
  readonly size?: number;
  readonly device?: readonly [number, number];
  /** Bytes to put over the block before its checksum is made, by their offset. */
  readonly patch?: Readonly<Record<number, string>>;
}

/** Two blocks of zeros, with which a tar ends. */
export const END: Buffer = Buffer.alloc(1024);

/** A member: its header, its content and padding. */
export function rawMember(member: RawMember): Buffer {
  const content = Buffer.from(member.content ?? '');
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([rawHeader(member, content.length), content, padding]);
}

function rawHeader(member: RawMember, contentBytes: number): Buffer {
  const block = Buffer.alloc(512);
  const number = (value: number, offset: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, '0'), offset);
  };
  Buffer.from(member.name).copy(block, 0, 0, 100);
  number(member.mode ?? 0o644, 100, 7);
  number(member.owner ?? 0, 108, 7);
  number(member.owner ?? 0, 116, 7);
  number(member.size ?? contentBytes, 124, 11);
  number(1_700_000_000, 136, 11);
  block.write(member.type ?? '0', 156);
  block.write(member.link ?? '', 157);
  block.write('ustar\u000000', 257);
  number(member.device?.[0] ?? 0, 329, 7);
  number(member.device?.[1] ?? 0, 337, 7);
  for (const [offset, text] of Object.entries(member.patch ?? {})) {
    block.write(text, Number(offset), 'latin1');
  }
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A whole tar. */
export function rawTar(...members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.map(rawMember), END]);
}

/** A block of PAX records. */
export function paxMember(
  records: Readonly<Record<string, string | Buffer>>,
  type = 'x',
): RawMember {
  const parts = Object.entries(records).map(([key, value]) => {
    const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
    let length = body.length;
    while (String(length).length + body.length !== length) {
      length = String(length).length + body.length;
    }
    return Buffer.concat([Buffer.from(String(length)), body]);
  });
  return { name: 'PaxHeaders/x', type, content: Buffer.concat(parts) };
}

/** A tar of names in a directory by GNU tar. */
export function gnuTar(directory: string, names: readonly string[], ...options: string[]): Buffer {
  const limit = { maxBuffer: 1 << 28 };
  return execFileSync('tar', ['-C', directory, ...options, '-cf', '-', '--', ...names], limit);
}

/** An archive with the least that makes it one, and these members. */
export function archiveWith(...members: readonly RawMember[]): Buffer {
  return rawTar(
    { name: 'checkpoint/', type: '5', mode: 0o700 },
    { name: 'checkpoint/inventory.img', content: 'inventory' },
    ...members,
  );
}

/** An archive that can be imported, with these members in its `rootfs-diff.tar`. */
export function importableWith(inventory: Uint8Array, ...members: readonly RawMember[]): Buffer {
  return rawTar(
    { name: 'checkpoint/', type: '5', mode: 0o700 },
    { name: 'checkpoint/inventory.img', content: Buffer.from(inventory) },
    { name: 'rootfs-diff.tar', content: rawTar(...members) },
  );
}

/** An archive with these members in its `rootfs-diff.tar`. */
export function archiveWithFiles(...members: readonly RawMember[]): Buffer {
  return archiveWith({ name: 'rootfs-diff.tar', content: rawTar(...members) });
}

/** The bytes in chunks of so many. */
export function chunksOf(bytes: Uint8Array, sizes: readonly number[] = [65_536]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length]!);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** Unpacks into a new directory. */
export async function unpack(
  archive: Uint8Array,
  staging: string,
  options: Partial<UnpackOptions> = {},
): Promise<UnpackedArchive> {
  mkdirSync(staging);
  return await unpackArchive(nodeFiles, chunksOf(archive), { file: 'a.tar', staging, ...options });
}

/** One line per node: path, kind, mode, owner, and the content or target. */
export function describeNodes({ nodes }: UnpackedArchive): string[] {
  return nodes.map((node) => {
    const { kind, mode, uid, target, xattrs, deviceMajor, deviceMinor } = node;
    const more = [
      ...(kind === 'file' ? [JSON.stringify(contentOf(node).toString())] : []),
      ...(target === undefined ? [] : [`-> ${Buffer.from(target).toString()}`]),
      ...(kind === 'character' || kind === 'block' ? [`${deviceMajor}:${deviceMinor}`] : []),
      ...xattrs.map(({ name, value }) => `${text(name)}=${text(value)}`),
    ];
    return [text(node.path), kind, mode.toString(8), uid, ...more].join(' ');
  });
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** What a node holds. */
export function contentOf(node: UnpackedArchive['nodes'][number]): Buffer {
  const { content, sizeBytes } = node;
  if (content === undefined) throw new Error(`${text(node.path)} has no content`);
  return readFileSync(content.path).subarray(content.offset, content.offset + sizeBytes);
}

/** All files of a directory, by their paths. */
export function filesBelow(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
  const found = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    found.map((path) => [path.slice(directory.length + 1), readFileSync(path, 'latin1')]),
  );
}

/** What `change` makes of contents of the tree and of images before they are packed. */
export type ChangeContent = (path: string, content: Buffer) => Buffer | undefined;

/** Packs what was unpacked. */
export async function pack(
  archive: UnpackedArchive,
  directory: string,
  change: ChangeContent = (_path, content) => content,
): Promise<Buffer> {
  const nodes = new Map(archive.nodes.map((node) => [text(node.path), node]));
  const changed = (path: string, content: Buffer | undefined): TarContent | undefined => {
    const bytes = content === undefined ? undefined : change(path, content);
    return bytes && { sizeBytes: bytes.length, chunks: () => chunksOf(bytes, [1000]) };
  };
  const chunks: Buffer[] = [];
  const packed = packArchive({
    file: 'out.tar',
    staging: { files: nodeFiles, directory },
    content: (path) => {
      const node = nodes.get(text(path));
      const file = node?.kind === 'hard' ? nodes.get(text(node.target!)) : node;
      return changed(text(path), file?.kind === 'file' ? contentOf(file) : undefined);
    },
    image: (name) => {
      const path = join(archive.images.directory, text(name));
      return changed(`images/${text(name)}`, readFileSync(path));
    },
  });
  for await (const chunk of packed) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** A stream, decompressed as a whole. */
export async function decompressed(bytes: Uint8Array, sizes?: readonly number[]): Promise<Buffer> {
  const { chunks } = await decompress(chunksOf(bytes, sizes), { file: 'a.tar' });
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}
