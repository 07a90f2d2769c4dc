/** The room's door: image directories, read flat. */
export { type ContentReader } from './content-reader.ts';
export {
  type BytesSource,
  type ContentSource,
  type FileSource,
  openContent,
  type PiecesSource,
} from './content.ts';
export {
  confirmUnchanged,
  type ImageDirectory,
  openImageDirectory,
  type OpenImageOptions,
} from './directory.ts';
export { type ImageEntry, type MemorySpace } from './entries.ts';
export { type DumpIdentity } from './inventory.ts';
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
export { type ListedItem, type Listing, type SeenDirectory } from './listing.ts';
export { type ParentSnapshot, parentSpace, type ParentSpace } from './parent-snapshot.ts';
export { type ParentPeek, peekParent } from './peek-parent.ts';
export { type InheritedPages, type Pieces } from './pieces.ts';
