/**
 * What an image directory may hold at most. The maxima are far above real dumps; they keep a
 * hostile directory from taking memory and time without bound.
 */

/** Files and subdirectories of one directory, with those of its subdirectories. */
export const DIRECTORY_ENTRIES_MAX = 1_000_000;
/** Levels of subdirectories below the directory itself. */
export const SUBDIRECTORY_DEPTH_MAX = 8;
/** Bytes of one component of a name. */
export const NAME_BYTES_MAX = 255;
/** Bytes of `inventory.img`. */
export const INVENTORY_BYTES_MAX = 1_048_576;
/** Bytes of `pstree.img`, as far as it is asked which processes there are: a million of them. */
export const PSTREE_BYTES_MAX: number = 16 * 1_048_576;
/** Bytes of a pagemap image: some 20 million entries. */
export const PAGEMAP_BYTES_MAX: number = 256 * 1_048_576;
/** Directories that follow each other by `parent` links, without the first. */
export const CHAIN_DEPTH_MAX = 4096;

/** Maxima that a caller may lower, for tests and for directories of strangers. */
export interface ImageLimits {
  readonly directoryEntries: number;
  readonly subdirectoryDepth: number;
  readonly pagemapBytes: number;
  readonly chainDepth: number;
}

/** The maxima above. */
export const IMAGE_LIMITS: ImageLimits = {
  directoryEntries: DIRECTORY_ENTRIES_MAX,
  subdirectoryDepth: SUBDIRECTORY_DEPTH_MAX,
  pagemapBytes: PAGEMAP_BYTES_MAX,
  chainDepth: CHAIN_DEPTH_MAX,
};
