/**
 * Splits an image into its messages and the raw bytes between them, and joins them again.
 *
 * After the header an image is a sequence of messages (u32 length, protobuf), and some messages are
 * followed by bytes whose number only the message tells: what was in a pipe, a socket, a ghost
 * file. A message is found without understanding it, except where it announces such bytes.
 * Pieces are views, nothing is copied, and joining them gives back the very bytes.
 */
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { type ImageKind, type ImageType, recogniseImage } from './magic.ts';
import type { MessageType } from './messages.ts';
import { type CriuMessage, decodeMessage } from './schema.ts';

/** A message without its length, or raw bytes. */
export interface ImagePiece {
  readonly kind: 'message' | 'payload';
  /** What the message is, as far as this version knows it; undefined for payload. */
  readonly type: MessageType | undefined;
  /** Offset in the image of `bytes`. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** An image in pieces. */
export interface SplitImage {
  readonly kind: ImageKind;
  /** The magics. */
  readonly header: Uint8Array;
  readonly pieces: readonly ImagePiece[];
}

// Messages that an image consists of. The pagemap, whose first one differs, is dealt with below.
const MESSAGE_OF: Partial<Record<ImageType, MessageType>> = {
  INVENTORY: 'inventory_entry',
  PSTREE: 'pstree_entry',
  CORE: 'core_entry',
  IDS: 'task_kobj_ids_entry',
  MM: 'mm_entry',
  FS: 'fs_entry',
  FDINFO: 'fdinfo_entry',
  FILES: 'file_entry',
  REG_FILES: 'reg_file_entry',
  PIPES: 'pipe_entry',
  PIPES_DATA: 'pipe_data_entry',
  FIFO_DATA: 'pipe_data_entry',
  REMAP_FPATH: 'remap_file_path_entry',
  SK_QUEUES: 'sk_packet_entry',
  GHOST_FILE: 'ghost_file_entry',
  TCP_STREAM: 'tcp_stream_entry',
  BPFMAP_DATA: 'bpfmap_data_entry',
  IPCNS_SEM: 'ipc_sem_entry',
  IPCNS_MSG: 'ipc_msg_entry',
  IPCNS_SHM: 'ipc_shm_entry',
  MEMFD_INODE: 'memfd_inode_entry',
  TIMENS: 'timens_entry',
  STATS: 'stats_entry',
};

/** Takes what follows a message. */
type PayloadRule = (splitter: Splitter, message: CriuMessage) => void;

const pipeData: PayloadRule = (splitter, message) => splitter.payload(message, 'bytes');

const PAYLOAD_RULES: Partial<Record<ImageType, PayloadRule>> = {
  PIPES_DATA: pipeData,
  FIFO_DATA: pipeData,
  SK_QUEUES: (splitter, message) => splitter.payload(message, 'length'),
  TCP_STREAM: (splitter, message) => {
    splitter.payload(message, 'inq_len');
    splitter.payload(message, 'outq_len');
  },
  BPFMAP_DATA: (splitter, message) => {
    splitter.payload(message, 'keys_bytes');
    splitter.payload(message, 'values_bytes');
  },
  IPCNS_SEM: (splitter, message) => splitter.take(roundUp(Number(message['nsems']) * 2, 8)),
  IPCNS_MSG: (splitter, message) => {
    for (let left = Number(message['qnum']); left > 0; left--) {
      splitter.take(roundUp(Number(splitter.decoded('ipc_msg')['msize']), 8));
    }
  },
  IPCNS_SHM: (splitter, message) => {
    // The content is in a pagemap-shmem image since CRIU 3.0.
    if (message['in_pagemaps'] !== true) splitter.take(roundUp(Number(message['size']), 4));
  },
  GHOST_FILE: (splitter, message) => {
    if (message['chunks'] !== true) splitter.take(splitter.remaining);
    while (splitter.remaining > 0) {
      splitter.payload(splitter.decoded('ghost_chunk_entry'), 'len');
    }
  },
};

/**
 * Splits an image.
 *
 * @param file its name or path, which tells images without a header and stands in errors.
 * @throws {StoreError} INVALID_IMAGE when a length reaches past the end, or a message that
 * announces bytes cannot be decoded.
 */
export function splitImage(bytes: Uint8Array, file?: string): SplitImage {
  const name = file?.slice(file.lastIndexOf('/') + 1);
  const kind = recogniseImage(bytes.subarray(0, 8), name);
  const splitter = new Splitter(bytes, kind.headerBytes, file);
  if (kind.format === 'raw' || kind.type === undefined) splitter.take(splitter.remaining);
  else splitter.takeMessages(kind.type);
  return { kind, header: bytes.subarray(0, kind.headerBytes), pieces: splitter.pieces };
}

/** Joins the pieces of an image, edited or not, to the bytes of a file. */
export function joinImage(image: Pick<SplitImage, 'header' | 'pieces'>): Uint8Array {
  const writer = new ByteWriter();
  writer.raw(image.header);
  for (const { kind, bytes } of image.pieces) {
    if (kind === 'message') writer.u32(bytes.length);
    writer.raw(bytes);
  }
  return writer.bytes();
}

class Splitter {
  readonly pieces: ImagePiece[] = [];
  readonly #reader: ByteReader;
  readonly #start: number;
  readonly #file: string | undefined;

  constructor(bytes: Uint8Array, start: number, file: string | undefined) {
    this.#reader = new ByteReader(bytes.subarray(start), {
      code: 'INVALID_IMAGE',
      file,
      offset: start,
    });
    this.#start = start;
    this.#file = file;
  }

  get remaining(): number {
    return this.#reader.remaining;
  }

  /** Takes messages, with what follows each, to the end of the image. */
  takeMessages(image: ImageType): void {
    const rule = PAYLOAD_RULES[image];
    while (this.remaining > 0) {
      const piece = this.#message(messageTypeOf(image, this.pieces.length));
      if (rule !== undefined) rule(this, this.#decode(piece));
    }
  }

  /** Takes a message and decodes it. */
  decoded(type: MessageType): CriuMessage {
    return this.#decode(this.#message(type));
  }

  /** Takes as many raw bytes as a field of a message says. */
  payload(message: CriuMessage, field: string): void {
    this.take(Number(message[field]));
  }

  /** Takes raw bytes; none make no piece. */
  take(length: number): void {
    const offset = this.#start + this.#reader.position;
    const bytes = this.#reader.bytes(length);
    if (length > 0) this.pieces.push({ kind: 'payload', type: undefined, offset, bytes });
  }

  #message(type: MessageType | undefined): ImagePiece {
    const length = this.#reader.u32();
    const offset = this.#start + this.#reader.position;
    const bytes = this.#reader.bytes(length);
    const piece: ImagePiece = { kind: 'message', type, offset, bytes };
    this.pieces.push(piece);
    return piece;
  }

  #decode({ type, bytes, offset }: ImagePiece): CriuMessage {
    return type === undefined ? {} : decodeMessage(type, bytes, { file: this.#file, offset });
  }
}

function messageTypeOf(image: ImageType, index: number): MessageType | undefined {
  if (image === 'PAGEMAP') return index === 0 ? 'pagemap_head' : 'pagemap_entry';
  return MESSAGE_OF[image];
}

function roundUp(length: number, multiple: number): number {
  return Math.ceil(length / multiple) * multiple;
}
