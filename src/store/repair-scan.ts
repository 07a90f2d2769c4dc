/**
 * What a repair finds in the packs: of each the segments, manifests and states that it holds. Reads
 * footers, tables, digests and manifests; every frame as well where that is asked for.
 *
 * A pack whose footer cannot be read is lost as a whole. Any other damage costs what is in it:
 * frames that cannot be read are remembered by the pack set. Memory: some 500 bytes a manifest.
 */
import { basename } from 'node:path';
import { toHex } from '../bytes/hex.ts';
import type { SnapshotToAdd } from '../catalog/snapshot-table.ts';
import { isDamage, StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { exists } from '../files/transfer.ts';
import { decodeManifest } from '../manifest/manifest.ts';
import { checkFrame } from '../pack/check-frame.ts';
import { FRAME_BYTES } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import type { PackSet } from '../pack/pack-set.ts';
import type { PackReader } from '../pack/reader.ts';
import type { States } from '../pack/states.ts';
import { rowOf } from './capture-once.ts';
import type { Pacer } from './clock.ts';
import type { StoreLayout } from './layout.ts';

/** A segment in a pack. */
export interface ScannedSegment {
  readonly identity: Uint8Array;
  readonly local: number;
  /** Pages of it that are in this pack, and how many of them are in frames known to be lost. */
  readonly pages: number;
  readonly lostPages: number;
  readonly frameBytes: number;
}

/** A manifest in a pack. */
export interface ScannedManifest {
  readonly facts: SnapshotToAdd;
  /** Identity of the snapshot's own segment, in hex; undefined when it refers to none. */
  readonly ownSegment: string | undefined;
  /** Bytes of its blocks. */
  readonly storedBytes: number;
}

/** A pack that could be opened. */
export interface ScannedPack {
  readonly name: string;
  readonly sizeBytes: number;
  readonly segments: readonly ScannedSegment[];
  /** Identities of all segments that it and its manifests hold or refer to, in hex. */
  readonly references: ReadonlySet<string>;
  readonly manifests: readonly ScannedManifest[];
  readonly states: States | undefined;
  /** Whether the digests of its full pages are right, all of them. */
  readonly hasDigests: boolean;
  /** Whether all of its frame tables, and all of its manifests, can be read. */
  readonly hasTables: boolean;
  readonly hasManifests: boolean;
  /** What is wrong with it. */
  readonly problems: readonly string[];
  /** Identities in hex of the segments that readers look for in this very pack. */
  readonly listed: ReadonlySet<string>;
  /** Whether it was written once more: all that can be read of it is in another pack. */
  readonly isReplaced: boolean;
}

/** A file in packs/ that is no pack any more. */
export interface UnreadablePack {
  readonly path: string;
  readonly name: string;
  readonly problem: string;
  /** Whether it is where another pack belongs. */
  readonly isInTheWay?: boolean;
}

/** Where packs are read. */
export interface PackPlaces {
  readonly files: Files;
  readonly layout: StoreLayout;
  readonly packs: PackSet;
}

/** Identities of the segments of a pack, in hex. */
export function identitiesOf({ segments }: ScannedPack): Set<string> {
  return new Set(segments.map(({ identity }) => toHex(identity)));
}

/** The name of the pack that a file in packs/ must be, or undefined when it is none. */
export function packNameOf(layout: StoreLayout, path: string): string | undefined {
  const name = basename(path, '.pack');
  return /^[0-9a-f]{64}$/.test(name) && layout.packFile(name) === path ? name : undefined;
}

/**
 * Reads one pack.
 *
 * @param everyFrame whether all frames are read as well.
 * @throws StoreError CORRUPT when nothing of it can be read; STORAGE.
 */
export async function scanPack(
  { packs, layout }: PackPlaces,
  name: string,
  everyFrame: boolean,
  pacer: Pacer,
): Promise<ScannedPack> {
  const problems: string[] = [];
  packs.forget(name);
  const reader = packs.reader(name);
  const attempt = <T>(read: () => T): T | undefined => noteDamage(problems, read);
  const hasDigests = attempt(() => (reader.digestBlocks.check(), true)) === true;
  await pacer.pause();
  const identities = reader.footer.references;
  const segments: ScannedSegment[] = [];
  let [hasTables, hasManifests] = [true, true];
  for (const [local, identity] of identities.entries()) {
    const isHere = reader.footer.entries.some(
      (entry) => entry.type === 'frameTable' && entry.segment === local,
    );
    // A capture without new pages has a segment without tables: the first of its references.
    if (!isHere && local > 0) continue;
    const tables = attemptTables(reader, local, attempt);
    if (tables.length < reader.tables.count(local)) hasTables = false;
    if (everyFrame) await readFrames(reader, tables, attempt, pacer);
    segments.push({ identity, local, ...countPages(reader, tables) });
    await pacer.pause();
  }
  const references = new Set(identities.map(toHex));
  const manifests: ScannedManifest[] = [];
  for (const entry of reader.footer.entries) {
    if (entry.type !== 'manifest' || entry.part > 0) continue;
    const manifest = attempt(() => scanManifest(reader, entry.digest, references));
    if (manifest === undefined) hasManifests = false;
    else manifests.push(manifest);
    await pacer.pause();
  }
  const states = attempt(() => reader.readStates());
  if (packs.lostFrames.mayHave(layout.packFile(name)) && problems.length === 0) {
    problems.push('frames cannot be read');
  }
  const { sizeBytes } = reader;
  const found = { segments, references, manifests, states };
  const use = { listed: new Set<string>(), isReplaced: false };
  return { name, sizeBytes, ...found, hasDigests, hasTables, hasManifests, problems, ...use };
}

/** The tables of a segment that can be read. */
function attemptTables(
  reader: PackReader,
  local: number,
  attempt: <T>(read: () => T) => T | undefined,
): FrameTable[] {
  const tables: FrameTable[] = [];
  for (let number = 0; number < reader.tables.count(local); number++) {
    const table = attempt(() => reader.tables.at(local, number));
    if (table !== undefined) tables.push(table);
  }
  return tables;
}

function noteDamage<T>(problems: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isDamage(error)) throw error;
    const message = error instanceof StoreError ? error.message : String(error);
    if (!problems.includes(message)) problems.push(message);
    return undefined;
  }
}

function scanManifest(
  reader: PackReader,
  digest: Uint8Array,
  references: Set<string>,
): ScannedManifest {
  const manifest = decodeManifest(reader.readManifest(digest), reader.file);
  for (const identity of manifest.segments) references.add(toHex(identity));
  const storedBytes = reader.footer.entries.reduce((sum, entry) => {
    const isPart = entry.type === 'manifest' && Buffer.compare(entry.digest, digest) === 0;
    return isPart ? sum + entry.blockBytes : sum;
  }, 0);
  const [own] = manifest.segments;
  return {
    facts: rowOf(manifest, Uint8Array.from(digest), 0),
    ownSegment: own && toHex(own),
    storedBytes,
  };
}

async function readFrames(
  reader: PackReader,
  tables: readonly FrameTable[],
  attempt: (read: () => void) => void,
  pacer: Pacer,
): Promise<void> {
  const buffer = Buffer.alloc(FRAME_BYTES);
  for (const table of tables) {
    for (let index = 0; index < table.length; index++) {
      attempt(() => checkFrame(reader, table, index, buffer));
      await pacer.pause();
    }
  }
}

function countPages(
  reader: PackReader,
  tables: readonly FrameTable[],
): Pick<ScannedSegment, 'pages' | 'lostPages' | 'frameBytes'> {
  let [pages, lostPages, frameBytes] = [0, 0, 0];
  for (const table of tables) {
    for (let index = 0; index < table.length; index++) {
      pages += table.pagesAt(index);
      frameBytes += table.entryAt(index).blockBytes;
      if (reader.isLost(table, index)) lostPages += table.pagesAt(index);
    }
  }
  return { pages, lostPages, frameBytes };
}

/** Whether everything in a pack can be read, and is what was written. */
export async function checkPack(reader: PackReader, pacer: Pacer): Promise<boolean> {
  let isRight = true;
  const attempt = (read: () => void) => {
    isRight &&= noteDamage([], () => (read(), true)) === true;
  };
  attempt(() => reader.digestBlocks.check());
  attempt(() => reader.readStates());
  for (const local of reader.footer.references.keys()) {
    const tables = noteDamage([], () => reader.frameTables(local));
    if (tables === undefined) return false;
    await readFrames(reader, tables, attempt, pacer);
  }
  for (const entry of reader.footer.entries) {
    if (entry.type === 'manifest') attempt(() => reader.readManifest(entry.digest));
    await pacer.pause();
  }
  return isRight;
}

/** The frames of a list that still cannot be read, of packs that are there. */
export async function stillLost(
  { files, layout, packs }: PackPlaces,
  recorded: readonly { readonly pack: string; readonly offset: number }[],
  pacer: Pacer,
): Promise<{ readonly pack: string; readonly offset: number }[]> {
  const buffer = Buffer.alloc(FRAME_BYTES);
  const lost: { readonly pack: string; readonly offset: number }[] = [];
  for (const frame of recorded) {
    await pacer.pause();
    if (!exists(files, layout.packFile(frame.pack))) continue;
    const isThere = noteDamage([], () => readRecorded(packs, frame, buffer));
    if (isThere !== true) lost.push(frame);
  }
  return lost;
}

/** Reads the frame at an offset, or all tables of a pack that lacked one. */
function readRecorded(
  packs: PackSet,
  { pack, offset }: { readonly pack: string; readonly offset: number },
  buffer: Buffer,
): boolean {
  const reader = packs.reader(pack);
  for (const local of reader.footer.references.keys()) {
    const isOfTables = offset === WHOLE_PACK;
    for (const table of isOfTables ? reader.tables.of(local) : reader.tables.readable(local)) {
      for (let index = 0; index < table.length; index++) {
        if (table.entryAt(index).offset !== offset) continue;
        checkFrame(reader, table, index, buffer);
        return true;
      }
    }
  }
  return true;
}
