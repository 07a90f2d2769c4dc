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
  type ContentReader,
  type ImageDirectory,
  type ImageEntry,
  type ImageLimits,
  type MemorySpace,
  openImageDirectory,
  type OpenImageOptions,
} from './images/index.ts';
