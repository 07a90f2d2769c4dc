/** Reads the messages of images by their names, and what several readers of them need. */
import { StoreError } from '../errors.ts';
import { splitImage } from './framing.ts';
import type { ImageType } from './magic.ts';
import { type CriuMessage, decodeMessage } from './schema.ts';

/** Gives the bytes of an image by its name, such as `pstree.img`, or undefined. */
export type ReadImage = (name: string) => Uint8Array | undefined;

/**
 * The messages of an image; undefined without that image.
 *
 * @throws {StoreError} INVALID_IMAGE when it is damaged, or of another type.
 */
export function readMessages(
  readImage: ReadImage,
  file: string,
  type: ImageType,
): readonly CriuMessage[] | undefined {
  const bytes = readImage(file);
  if (bytes === undefined) return undefined;
  const { kind, pieces } = splitImage(bytes, file);
  if (kind.type !== type || kind.format !== 'common') {
    throw new StoreError('INVALID_IMAGE', `not an image of type ${type}`, { file, offset: 0 });
  }
  return pieces.map(({ type: message, bytes: piece, offset }) => {
    if (message === undefined) throw new StoreError('INVALID_IMAGE', 'unknown message', { file });
    return decodeMessage(message, piece, { file, offset });
  });
}

/** Paths of regular files by their ids, from `files.img` or, until CRIU 3.3, `reg-files.img`. */
export function readFilePaths(readImage: ReadImage): ReadonlyMap<unknown, Uint8Array> {
  const files = readMessages(readImage, 'files.img', 'FILES') ?? [];
  const regular = readMessages(readImage, 'reg-files.img', 'REG_FILES') ?? [];
  const paths = new Map<unknown, Uint8Array>();
  for (const file of [...files.map((entry) => entry['reg']), ...regular]) {
    const { id, name } = (file ?? {}) as CriuMessage;
    if (name instanceof Uint8Array) paths.set(id, name);
  }
  return paths;
}
