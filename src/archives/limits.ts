/**
 * What an archive may hold at most. The maxima are far above real checkpoints; they keep a hostile
 * archive from taking the disk, memory and time without bound.
 */
import { StoreError } from '../errors.ts';

/** Maxima that a caller may raise or lower. */
export interface ArchiveLimits {
  /** Bytes of the archive once decompressed; those of a compressed `rootfs-diff.tar` count too. */
  readonly unpackedBytes: number;
  /** Members, those of `rootfs-diff.tar` included, and directories that only paths speak of. */
  readonly members: number;
  /** Bytes of one member. */
  readonly memberBytes: number;
  /**
   * Bytes of memory for what is known of all members until the import ends, as an estimate: paths
   * three times, links and extended attributes once, and besides them 600 bytes for each member
   * and 256 for each attribute. The default has room for a million members with paths of 68 bytes;
   * unpacking 900,000 of 45 bytes took the process to 900 MiB. Lower this where there is less.
   */
  readonly headerBytes: number;
}

/** The maxima unless others are given. */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  unpackedBytes: 64 * 2 ** 30,
  members: 1_000_000,
  memberBytes: 64 * 2 ** 30,
  headerBytes: 768 * 2 ** 20,
};

/** Some of the maxima; those that are undefined are the usual ones. */
export type SomeLimits = {
  readonly [Name in keyof ArchiveLimits]?: ArchiveLimits[Name] | undefined;
};

/** All maxima. @throws TypeError for what is no number, RangeError for a negative one or NaN. */
export function archiveLimits(some: SomeLimits = {}): ArchiveLimits {
  const limits: Record<keyof ArchiveLimits, number> = { ...ARCHIVE_LIMITS };
  for (const name of Object.keys(ARCHIVE_LIMITS) as (keyof ArchiveLimits)[]) {
    const value: unknown = some[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw new TypeError(`the limit ${name} is a number`);
    if (!(value >= 0)) throw new RangeError(`the limit ${name} is not ${value}`);
    limits[name] = value;
  }
  return limits;
}

/** Bytes of one PAX record block or long name. */
export const EXTENSION_BYTES_MAX: number = 2 ** 20;
/** How often a path is in memory: in its node, and as what it is found by, twice. */
const PATH_COPIES = 3;
/** For a member besides its path: of 900,000, each still took 460 bytes with it in the end. */
const MEMBER_MEMORY_BYTES = 600;
/** For an extended attribute besides its name and value: of 26 million, each took about 230. */
export const XATTR_MEMORY_BYTES = 256;
/** Bytes of `config.dump` and of `spec.dump`, as far as labels are looked for in them. */
export const LABEL_SOURCE_BYTES_MAX: number = 4 * 2 ** 20;
/** Values in each of them, and how deep they may lie in each other; podman's have 800. */
export const LABEL_SOURCE_SHAPE: { readonly values: number; readonly depth: number } = {
  values: 100_000,
  depth: 64,
};
/** Bytes of `deleted.files`. */
export const DELETED_FILES_BYTES_MAX: number = 16 * 2 ** 20;
/** Levels of subdirectories of an image directory. */
export const IMAGE_DEPTH_MAX = 8;

/** Counts towards the limits, for an archive and what is packed inside it. */
export class LimitCounter {
  readonly limits: ArchiveLimits;
  readonly #file: string;
  #unpackedBytes = 0;
  #members = 0;
  #headerBytes = 0;

  /** @param file the archive, for errors. */
  constructor(limits: ArchiveLimits, file: string) {
    this.limits = limits;
    this.#file = file;
  }

  /** Counts bytes that came out of a decompressor. */
  addUnpacked(count: number): void {
    this.#unpackedBytes += count;
    this.#check('unpackedBytes', this.#unpackedBytes);
  }

  /** Counts a member, or what is known like one, and what else stays in memory for it. */
  addMember(pathBytes: number, otherBytes: number = 0): void {
    this.#headerBytes += PATH_COPIES * pathBytes + otherBytes + MEMBER_MEMORY_BYTES;
    this.#check('members', ++this.#members);
    this.#check('headerBytes', this.#headerBytes);
  }

  /** Checks whether there is room for so many more members. */
  checkMembers(count: number): void {
    this.#check('members', this.#members + count);
  }

  /** Checks the size of one member. */
  checkMember(sizeBytes: number): void {
    this.#check('memberBytes', sizeBytes);
  }

  #check(name: keyof ArchiveLimits, value: number): void {
    if (value <= this.limits[name]) return;
    const message = `the archive exceeds the limit \`${name}\` of ${this.limits[name]}`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file: this.#file });
  }
}
