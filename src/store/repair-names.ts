/**
 * Packs under wrong names. The name of a pack is the SHA-256 of its bytes, so a file tells which
 * pack it is, unless it is damaged: a name that does not fit counts as wrong when the catalog knows
 * the right one, or when nothing else is wrong with the file. Until they are renamed, packs are
 * read as if they were in their places (repair-staged.ts).
 */
import { dirname } from 'node:path';
import { sameBytes } from '../bytes/hex.ts';
import type { SalvagedCatalog } from '../catalog/salvage.ts';
import { isDamage } from '../errors.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import { exists, moveDurably, syncDirectory } from '../files/transfer.ts';
import { openPack } from '../pack/pack-set.ts';
import type { PackReader } from '../pack/reader.ts';
import { isRegularFile, pathsInPacks } from './pack-files.ts';
import type { RepairWork } from './repair-plan.ts';
import { checkPack, packNameOf, type UnreadablePack } from './repair-scan.ts';

/** A pack that is to be renamed. */
export interface MisnamedPack {
  /** Where it is. */
  readonly path: string;
  /** What it is. */
  readonly name: string;
}

/** What is in packs/, as far as names tell. */
export interface PackNames {
  /** Names of all packs, those of misnamed ones as they should be. */
  readonly names: readonly string[];
  readonly misnamed: readonly MisnamedPack[];
  /** Files that are no packs, or second ones of a pack. */
  readonly unreadable: readonly UnreadablePack[];
  /** Second names of files, and the name that each keeps. */
  readonly secondNames: ReadonlyMap<string, string>;
}

const NOTHING = new Uint8Array(0);
/** How files end that are being renamed. */
const MOVING = '.moving-';
const MOVED = /\.moving-\d+$/;

/** Lists the packs, and finds out which have wrong names. */
export async function findNames(work: RepairWork, salvage: SalvagedCatalog): Promise<PackNames> {
  const { files, layout, pacer } = work;
  const descriptors = new DescriptorPool(files, 1);
  const retired = new Set(salvage.retired.map(({ pack }) => pack));
  const known = new Set(salvage.packs.map(({ name }) => name));
  const places = new Map<string, string>();
  const strangers: MisnamedPack[] = [];
  const unreadable: UnreadablePack[] = [];
  const all = [...pathsInPacks(files, layout)].filter((path) => isRegularFile(files, path));
  const secondNames = findSecondNames(files, all);
  const paths = all.filter((path) => !secondNames.has(path));
  const named = new Set(paths.map((path) => packNameOf(layout, path)));
  const isAnyMissing = [...known].some((name) => !named.has(name));
  try {
    for (const path of paths) {
      const name = packNameOf(layout, path);
      if (name !== undefined && retired.has(name)) continue;
      const reader = openUnlessDamaged(() => openPack(files, descriptors, work.zstd, path));
      const isDoubtful =
        name === undefined ||
        work.everyFrame ||
        (isAnyMissing && !known.has(name)) ||
        !isAsKnown(reader, name, salvage);
      const right = isDoubtful ? await rightName(work, reader, { name, known }) : name;
      if (right !== undefined && right !== name) strangers.push({ path, name: right });
      else if (name !== undefined) places.set(name, path);
      else unreadable.push({ path, name: path, problem: 'no name of a pack' });
      await pacer.pause();
    }
    const misnamed = await place(work, { places, strangers, unreadable }, descriptors);
    for (const { name, path } of misnamed) work.staged.add(name, path);
    return { names: [...places.keys()].sort(), misnamed, unreadable, secondNames };
  } finally {
    descriptors.close();
  }
}

/** A move that was cut off may have left a file both names: it has moved, then. */
function findSecondNames(files: Files, paths: readonly string[]): Map<string, string> {
  const second = new Map<string, string>();
  const inodes = new Map<bigint, string>();
  for (const path of paths.filter((each) => MOVED.test(each))) {
    inodes.set(files.lstat(path).inode, path);
  }
  if (inodes.size === 0) return second;
  for (const path of paths.filter((each) => !MOVED.test(each))) {
    const moved = inodes.get(files.lstat(path).inode);
    if (moved === undefined) continue;
    // The name of the place itself came last.
    if (moved.replace(MOVED, '') === path) second.set(moved, path);
    else second.set(path, moved);
  }
  return second;
}

/** Takes second names away. */
export function dropSecondNames(files: Files, secondNames: ReadonlyMap<string, string>): void {
  for (const [path, kept] of secondNames) {
    syncDirectory(files, dirname(kept));
    files.unlink(path);
    syncDirectory(files, dirname(path));
  }
}

/** Gives misnamed packs their places, unless the very same pack is there already. */
async function place(
  work: RepairWork,
  found: {
    readonly places: Map<string, string>;
    readonly strangers: readonly MisnamedPack[];
    readonly unreadable: UnreadablePack[];
  },
  descriptors: DescriptorPool,
): Promise<MisnamedPack[]> {
  const { places, strangers, unreadable } = found;
  const misnamed: MisnamedPack[] = [];
  for (const stranger of strangers) {
    const { name, path } = stranger;
    const holder = places.get(name);
    const isSame = holder !== undefined && (await isNamedRightly(work, descriptors, holder, name));
    if (isSame) unreadable.push({ path, name: path, problem: `the same as pack ${name}` });
    else {
      const problem = 'damaged, and a whole one is there under another name';
      if (holder !== undefined) {
        unreadable.push({ path: holder, name, problem, isInTheWay: true });
      }
      places.set(name, path);
      misnamed.push(stranger);
    }
  }
  // It may be a stranger itself that stands where another pack belongs.
  const wanted = new Set(misnamed.map(({ name }) => work.layout.packFile(name)));
  for (const [i, file] of unreadable.entries()) {
    if (wanted.has(file.path)) unreadable[i] = { ...file, isInTheWay: true };
  }
  return misnamed;
}

async function isNamedRightly(
  { files, zstd, pacer }: RepairWork,
  descriptors: DescriptorPool,
  path: string,
  name: string,
): Promise<boolean> {
  const reader = openUnlessDamaged(() => openPack(files, descriptors, zstd, path));
  return reader !== undefined && (await nameOf(reader, pacer)) === name;
}

function openUnlessDamaged(open: () => PackReader): PackReader | undefined {
  try {
    return open();
  } catch (error) {
    if (!isDamage(error)) throw error;
    return undefined;
  }
}

/** Whether a pack holds what the catalog says that it holds, by its footer. */
function isAsKnown(
  reader: PackReader | undefined,
  name: string,
  { packs, segments }: SalvagedCatalog,
): boolean {
  const row = packs.find((pack) => pack.name === name);
  if (reader === undefined || row === undefined) return true;
  const { references } = reader.footer;
  const held = segments.filter(({ packName }) => packName === name);
  return (
    row.sizeBytes === reader.sizeBytes &&
    held.every(({ identity, local }) => sameBytes(identity, references[local] ?? NOTHING))
  );
}

/** What a file should be called: what it is called unless it is certain that this is wrong. */
async function rightName(
  { pacer }: RepairWork,
  reader: PackReader | undefined,
  { name, known }: { readonly name: string | undefined; readonly known: ReadonlySet<string> },
): Promise<string | undefined> {
  if (reader === undefined) return name;
  const right = await nameOf(reader, pacer);
  if (right === name || known.has(right)) return right;
  return (await checkPack(reader, pacer)) ? right : name;
}

async function nameOf(reader: PackReader, pacer: RepairWork['pacer']): Promise<string> {
  for (const steps = reader.nameSteps(); ;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pacer.pause();
  }
}

/**
 * Renames packs. First each gets a name in its directory that is nobody's, then its own: cut off in
 * between, the next repair goes on, since nothing but the bytes tells which pack a file is.
 */
export function renamePacks(work: RepairWork, misnamed: readonly MisnamedPack[]): void {
  const { files, layout, packs, staged } = work;
  const moving = misnamed.map(({ path, name }) => {
    const former = packNameOf(layout, path);
    if (former !== undefined) packs.forget(former);
    packs.forget(name);
    const place = layout.packFile(name);
    if (!exists(files, dirname(place))) files.mkdir(dirname(place), 0o700);
    syncDirectory(files, layout.packs);
    const between = freePath(files, place);
    moveDurably(files, path, between);
    return between;
  });
  for (const [i, { path, name }] of misnamed.entries()) {
    moveDurably(files, moving[i] as string, layout.packFile(name));
    staged.delete(name, path);
  }
}

/** A repair that was cut off may have left a name of this kind. */
function freePath(files: RepairWork['files'], place: string): string {
  for (let number = 1; ; number++) {
    const path = `${place}${MOVING}${number}`;
    if (!exists(files, path)) return path;
  }
}
