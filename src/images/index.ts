/** The room's door: image directories, read flat. */
export { type ContentReader } from './content.ts';
export {
  type ImageDirectory,
  type ImageEntry,
  type MemorySpace,
  openImageDirectory,
  type OpenImageOptions,
} from './directory.ts';
export {
  CHAIN_DEPTH_MAX,
  DIRECTORY_ENTRIES_MAX,
  IMAGE_LIMITS,
  type ImageLimits,
  INVENTORY_BYTES_MAX,
  NAME_BYTES_MAX,
  PAGEMAP_BYTES_MAX,
  SUBDIRECTORY_DEPTH_MAX,
} from './limits.ts';
