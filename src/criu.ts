/**
 * `criu-timeline/criu`: CRIU's image formats, and image directories read flat, without a store.
 *
 * ```ts
 * import { openImageDirectory } from 'criu-timeline/criu';
 *
 * const images = openImageDirectory('/run/dump');
 * for (const { name, pageCount } of images.spaces) console.log(name, pageCount);
 * ```
 */
export {
  type CriuMessage,
  decodeMessage,
  decodePagemap,
  type DecodePagemapOptions,
  describeProcesses,
  encodeMessage,
  encodePagemap,
  encodePagemapHead,
  type ImageFormat,
  type ImageKind,
  type ImagePiece,
  type ImagePlace,
  type ImageType,
  joinImage,
  type MessageType,
  type PageBytes,
  type Pagemap,
  type PagemapGeneration,
  PE_LAZY,
  PE_PARENT,
  PE_PRESENT,
  type ProcessDescription,
  type ProcessState,
  type ReadImage,
  recogniseImage,
  splitImage,
  type SplitImage,
  unknownFields,
} from './criu/index.ts';
export { StoreError, type StoreErrorCode } from './errors.ts';
export {
  type BytesSource,
  confirmUnchanged,
  type ContentReader,
  type ContentSource,
  type FileSource,
  type ImageDirectory,
  type ImageEntry,
  type ImageLimits,
  type InheritedPages,
  type MemorySpace,
  openContent,
  openImageDirectory,
  type OpenImageOptions,
  parentSpace,
  type ParentSnapshot,
  type ParentSpace,
  type PiecesSource,
} from './images/index.ts';
