/** The room's doors: everything that the rest of the library and the subpath export may use. */
export { type ImagePiece, joinImage, splitImage, type SplitImage } from './framing.ts';
export {
  COMMON_MAGIC,
  imageFamily,
  type ImageFormat,
  type ImageKind,
  type ImageType,
  isRawName,
  isTypedName,
  recogniseImage,
  SERVICE_MAGIC,
  TYPE_MAGICS,
} from './magic.ts';
export { type MessageType } from './messages.ts';
export {
  decodePagemap,
  type DecodePagemapOptions,
  encodePagemap,
  encodePagemapHead,
  needsParent,
  PAGE_SIZES,
  type PageBytes,
  type Pagemap,
  type PagemapGeneration,
  PE_LAZY,
  PE_PARENT,
  PE_PRESENT,
  presentPages,
  UNIT_BYTES,
  UNITS_MAX,
} from './pagemap.ts';
export { describeProcesses, type ProcessDescription, type ProcessState } from './processes.ts';
export { readMessages, type ReadImage } from './read-messages.ts';
export {
  type CriuMessage,
  decodeMessage,
  encodeMessage,
  type ImagePlace,
  prepareMessage,
  unknownFields,
} from './schema.ts';
export { sharedMappings } from './shared-mappings.ts';
