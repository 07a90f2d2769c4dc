/**
 * The manifest: all of a snapshot but its pages. Pure encoder and decoder of the layout in
 * FORMAT.md, section 4: one byte string has one meaning, and a decoder consumes it exactly or
 * throws. It holds no reference to a pack, so that it can move to another one as it is.
 */
import { DIGEST_BYTES } from '#digest';
import { ID_BYTES } from '../bytes/id.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';
import { leafCount } from './leaves.ts';

/** Whether a snapshot can be restored, or only be the parent of one that can. */
export type SnapshotKind = 'restorable' | 'pre-dump';

/** Where the pages of a space lie: runs of pages, ascending. */
export interface AddressMap {
  /** Name of the space: `pagemap-<pid>`, `pagemap-shmem-<id>`, `tree` or `files`. */
  readonly name: string;
  /** First address of each run, divided by 4096. */
  readonly runStart: Float64Array;
  /** Pages of each run. */
  readonly runLength: Float64Array;
}

/** The content of a file: its length, its leaves, its recipe. */
export interface Content {
  readonly sizeBytes: number;
  /** 32 bytes for each 512 pages. */
  readonly leaves: Uint8Array;
  /** See recipe.ts. */
  readonly recipe: Uint8Array;
  /** Which entry of the base's manifest the recipe differs from; undefined for a whole recipe. */
  readonly baseEntry?: number | undefined;
  /** For the pages of a memory space: where they lie. */
  readonly addresses?: AddressMap | undefined;
}

/**
 * What an entry is, if it is not of the image directory: the tree of the container's files, or what
 * is in them. A snapshot has both or none, as its last two entries.
 */
export type EntryRole = 'tree' | 'files';

/** A file or directory of the image directory, or one of two spaces of the container's files. */
export interface ManifestEntry {
  /** Raw bytes, relative, parts separated by '/'; empty for one with a role. */
  readonly name: Uint8Array;
  /** Permission bits; 0 for one with a role. */
  readonly mode: number;
  /** Undefined for a directory. */
  readonly content: Content | undefined;
  /** Undefined for the image directory's. */
  readonly role?: EntryRole | undefined;
}

/** The parent of a snapshot: its id, and its digest, which stays when it is removed. */
export interface ParentReference {
  readonly id: Uint8Array;
  readonly digest: Uint8Array;
}

/** The snapshot whose recipes this one's are differences to. */
export interface RecipeBase {
  readonly id: Uint8Array;
  /** Manifests to be read before this one, its own base's included. */
  readonly depth: number;
}

/** All of a snapshot but its pages. */
export interface Manifest {
  readonly snapshotId: Uint8Array;
  /** Grows when the same snapshot is described anew. */
  readonly revision: number;
  readonly kind: SnapshotKind;
  readonly timeline: string;
  /** Position in the timeline, from 1. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly takenAtMs: number;
  /** Keys ascending by their UTF-8 bytes. */
  readonly labels: readonly (readonly [key: string, value: string])[];
  readonly parent: ParentReference | undefined;
  readonly criuRunId: string | undefined;
  readonly dumpUptimeUs: bigint | undefined;
  /** Bytes of a page of the dump: 4096, 16384 or 65536. */
  readonly dumpPageBytes: number;
  /** Permission bits of the image directory itself. */
  readonly directoryMode: number;
  /** Undefined when all recipes are whole. */
  readonly base: RecipeBase | undefined;
  /** Identities of the segments that recipes refer to, by local number. */
  readonly segments: readonly Uint8Array[];
  /** Pages that this capture added to the store. */
  readonly newPages: number;
  readonly entries: readonly ManifestEntry[];
}

const VERSION = 1;
/** Bytes of a text in a manifest, at most. */
export const MAX_TEXT_BYTES = 4096;
const MAX_NAME_BYTES = 4096;
/** Manifests that one manifest may differ from, one through the other. */
export const MAX_RECIPE_DEPTH = 15;
/** Labels a snapshot may carry. */
export const MAX_LABELS = 1000;
/** Pages of 4096 bytes that 64-bit addresses reach. */
const MAX_ADDRESS_PAGES = 2 ** 52;
const ENTRY = { directory: 1, file: 2, memory: 3, tree: 4, files: 5 } as const;
const KINDS: readonly SnapshotKind[] = ['restorable', 'pre-dump'];

/** The manifest's bytes. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const writer = new ByteWriter(4096);
  encodeHead(writer, manifest);
  writer.varint(manifest.base?.depth ?? 0);
  if (manifest.base !== undefined) writer.raw(manifest.base.id);
  writer.varint(manifest.segments.length);
  for (const identity of manifest.segments) writer.raw(identity);
  writer.varint(manifest.newPages);
  writer.varint(manifest.entries.length);
  for (const entry of manifest.entries) encodeEntry(writer, entry);
  return writer.bytes();
}

function encodeHead(writer: ByteWriter, manifest: Manifest): void {
  writer.u8(VERSION);
  writer.raw(manifest.snapshotId);
  writer.varint(manifest.revision);
  writer.u8(KINDS.indexOf(manifest.kind) + 1);
  writer.text(manifest.timeline);
  writer.varint(manifest.sequence);
  writer.u8(manifest.takenAtMs < 0 ? 1 : 0);
  writer.varint(Math.abs(manifest.takenAtMs));
  writer.varint(manifest.labels.length);
  for (const [key, value] of manifest.labels) {
    writer.text(key);
    writer.text(value);
  }
  writer.u8(manifest.parent === undefined ? 0 : 1);
  if (manifest.parent !== undefined) {
    writer.raw(manifest.parent.id);
    writer.raw(manifest.parent.digest);
  }
  writer.text(manifest.criuRunId ?? '');
  writer.u8(manifest.dumpUptimeUs === undefined ? 0 : 1);
  if (manifest.dumpUptimeUs !== undefined) writer.u64(manifest.dumpUptimeUs);
  writer.varint(manifest.dumpPageBytes);
  writer.varint(manifest.directoryMode);
}

function encodeEntry(writer: ByteWriter, entry: ManifestEntry): void {
  const { content } = entry;
  writer.u8(kindOf(entry));
  writer.varint(entry.mode);
  writer.byteString(entry.name);
  if (content === undefined) return;
  writer.varint(content.sizeBytes);
  writer.raw(content.leaves);
  writer.varint(content.baseEntry === undefined ? 0 : content.baseEntry + 1);
  writer.byteString(content.recipe);
  if (content.addresses !== undefined) encodeAddresses(writer, content.addresses);
}

function kindOf({ role, content }: ManifestEntry): number {
  if (role !== undefined) return ENTRY[role];
  if (content === undefined) return ENTRY.directory;
  return content.addresses === undefined ? ENTRY.file : ENTRY.memory;
}

/** Appends where the pages of a space lie. */
export function encodeAddresses(writer: ByteWriter, addresses: AddressMap): void {
  writer.text(addresses.name);
  writer.varint(addresses.runStart.length);
  let end = 0;
  for (let i = 0; i < addresses.runStart.length; i++) {
    const start = addresses.runStart[i] as number;
    const length = addresses.runLength[i] as number;
    writer.varint(start - end);
    writer.varint(length);
    end = start + length;
  }
}

type ManifestHead = Omit<Manifest, 'base' | 'segments' | 'newPages' | 'entries'>;

/** @throws StoreError CORRUPT, UNSUPPORTED_VERSION. */
export function decodeManifest(bytes: Uint8Array, file: string): Manifest {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file });
  const version = reader.u8();
  if (version !== VERSION) {
    throw new StoreError('UNSUPPORTED_VERSION', `manifest version ${version}`, { file });
  }
  const head = decodeHead(reader);
  const base = decodeBase(reader);
  const segmentCount = reader.count(reader.remaining / 16, 'segments');
  const segments = Array.from({ length: segmentCount }, () => reader.bytes(16));
  const newPages = reader.varint();
  const entryCount = reader.count(reader.remaining, 'entries');
  const entries: ManifestEntry[] = [];
  for (let i = 0; i < entryCount; i++) entries.push(decodeEntry(reader, base));
  reader.end();
  checkRoles(reader, entries);
  return { ...head, base, segments, newPages, entries };
}

function decodeHead(reader: ByteReader): ManifestHead {
  const snapshotId = reader.bytes(ID_BYTES);
  const revision = reader.varint();
  const kind = KINDS[reader.u8() - 1];
  if (kind === undefined) throw reader.fail('unknown kind of snapshot');
  const timeline = reader.text(MAX_TEXT_BYTES, 'timeline');
  const sequence = reader.varint();
  const takenAtMs = decodeTime(reader);
  const labelCount = reader.count(MAX_LABELS, 'labels');
  const labels = Array.from({ length: labelCount }, () => decodeLabel(reader));
  const parent = decodeFlag(reader) ? decodeParent(reader) : undefined;
  const criuRunId = reader.text(MAX_TEXT_BYTES, 'CRIU run id') || undefined;
  const dumpUptimeUs = decodeFlag(reader) ? reader.bigU64() : undefined;
  const dumpPageBytes = reader.varint();
  const directoryMode = reader.varint();
  return {
    snapshotId,
    revision,
    kind,
    timeline,
    sequence,
    takenAtMs,
    labels,
    parent,
    criuRunId,
    dumpUptimeUs,
    dumpPageBytes,
    directoryMode,
  };
}

function decodeBase(reader: ByteReader): RecipeBase | undefined {
  const depth = reader.count(MAX_RECIPE_DEPTH, 'manifests before this one');
  return depth === 0 ? undefined : { id: reader.bytes(ID_BYTES), depth };
}

/** One byte string has one meaning, and one meaning has one byte string. */
function decodeFlag(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw reader.fail(`flag of value ${byte}`);
  return byte === 1;
}

function decodeTime(reader: ByteReader): number {
  const isNegative = decodeFlag(reader);
  const milliseconds = reader.varint();
  if (isNegative && milliseconds === 0) throw reader.fail('time is minus zero');
  return isNegative ? -milliseconds : milliseconds;
}

function decodeLabel(reader: ByteReader): readonly [string, string] {
  return [reader.text(MAX_TEXT_BYTES, 'label'), reader.text(MAX_TEXT_BYTES, 'label')];
}

function decodeParent(reader: ByteReader): ParentReference {
  return { id: reader.bytes(ID_BYTES), digest: reader.bytes(DIGEST_BYTES) };
}

/** A tree says what the pages of files are: neither is there without the other. */
function checkRoles(reader: ByteReader, entries: readonly ManifestEntry[]): void {
  const roles = entries.map(({ role }) => role);
  const found = roles.filter((role) => role !== undefined);
  if (found.length === 0) return;
  const [tree, files] = roles.slice(-2);
  if (found.length !== 2 || tree !== 'tree' || files !== 'files') {
    throw reader.fail("spaces of the container's files that do not belong together");
  }
}

function decodeEntry(reader: ByteReader, base: RecipeBase | undefined): ManifestEntry {
  const kind = reader.u8();
  const mode = reader.varint();
  const name = reader.byteString(MAX_NAME_BYTES, 'name');
  if (kind === ENTRY.directory) return { name, mode, content: undefined };
  if (kind < ENTRY.file || kind > ENTRY.files) throw reader.fail(`entry of kind ${kind}`);
  const sizeBytes = reader.varint();
  const pageCount = pagesOf(sizeBytes);
  const leaves = reader.bytes(leafCount(pageCount) * DIGEST_BYTES);
  const baseEntry = reader.varint() - 1;
  if (baseEntry >= 0 && base === undefined) throw reader.fail('a difference without a base');
  const recipe = reader.byteString(reader.remaining, 'recipe');
  const content: Content = { sizeBytes, leaves, recipe };
  const based = baseEntry < 0 ? content : { ...content, baseEntry };
  if (kind === ENTRY.file) return { name, mode, content: based };
  const addresses = decodeAddresses(reader, sizeBytes / PAGE_BYTES);
  const entry = { name, mode, content: { ...based, addresses } };
  if (kind === ENTRY.memory) return entry;
  if (name.length > 0 || mode !== 0) throw reader.fail('a space of files with a name');
  return { ...entry, role: kind === ENTRY.tree ? 'tree' : 'files' };
}

function decodeAddresses(reader: ByteReader, pageCount: number): AddressMap {
  const name = reader.text(MAX_TEXT_BYTES, 'space name');
  const runs = reader.count(reader.remaining / 2, 'runs');
  const runStart = new Float64Array(runs);
  const runLength = new Float64Array(runs);
  let end = 0;
  let pages = 0;
  for (let i = 0; i < runs; i++) {
    const start = end + reader.varint();
    const length = reader.varint();
    if (start + length > MAX_ADDRESS_PAGES) throw reader.fail('run beyond the last address');
    runStart[i] = start;
    runLength[i] = length;
    end = start + length;
    pages += length;
  }
  if (pages !== pageCount) throw reader.fail('address runs hold other pages than the space');
  return { name, runStart, runLength };
}
