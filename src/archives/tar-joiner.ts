/**
 * Puts a tar together from its layout and the contents of its files.
 *
 * Where every content has the size that its header says, the result is the tar that was split,
 * byte for byte. Where one has another size, the header's size, its PAX record, its checksum and
 * the padding are made anew; nothing else changes. A member without content can be left out.
 */
import { StoreError } from '../errors.ts';
import { Turns } from './pace.ts';
import { encodePax, parsePax } from './pax.ts';
import { asciiBytes, BLOCK_BYTES, decodeHeader, paddingOf, withSize } from './tar-header.ts';
import type { TarMember } from './tar-member.ts';
import { TarSplitter } from './tar-splitter.ts';

/** What a file holds. */
export interface TarContent {
  readonly sizeBytes: number;
  /** The bytes, `sizeBytes` of them; a chunk is used before the next is asked for. */
  chunks(): Iterable<Uint8Array>;
}

/** The content of everything that has none, such as directories. */
export const NO_CONTENT: TarContent = { sizeBytes: 0, chunks: () => [] };

/**
 * Gives the content of a member; for everything but a file it is {@link NO_CONTENT}. Undefined
 * leaves the member out.
 */
export type ContentOf = (member: TarMember) => TarContent | undefined;

/** A layout, and where it comes from. */
export interface TarLayout {
  /** For errors. */
  readonly file: string;
  chunks(): Iterable<Uint8Array>;
}

/** The bytes of the tar. A chunk is valid until the next is asked for. */
export function* joinTar(layout: TarLayout, contentOf: ContentOf): Generator<Uint8Array, void> {
  for (const { bytes, content } of piecesOf(layout, contentOf)) {
    if (bytes !== undefined) yield bytes;
    if (content === undefined) continue;
    yield* checkedChunks(content, layout.file);
  }
}

/** The bytes of a content. @throws StoreError CORRUPT unless they are as many as it says. */
export function* checkedChunks(content: TarContent, file: string): Generator<Uint8Array, void> {
  let left = content.sizeBytes;
  for (const chunk of content.chunks()) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left === 0) return;
  const message = `a content of ${content.sizeBytes} bytes has another length`;
  throw new StoreError('CORRUPT', message, { file });
}

/** Bytes of a layout between two times that its pieces are passed on: headers of 64 members. */
const PARSED_BYTES = 32 * 1024;

/** The length of what `joinTar` will give; contents are not read. Others get their turns. */
export async function measureTar(
  layout: TarLayout,
  contentOf: ContentOf,
  signal?: AbortSignal,
): Promise<number> {
  let sizeBytes = 0;
  const turns = new Turns(signal);
  turns.check();
  for (const { bytes, content } of piecesOf(layout, contentOf)) {
    sizeBytes += (bytes?.length ?? 0) + (content?.sizeBytes ?? 0);
    if (turns.isDue) await turns.give();
  }
  return sizeBytes;
}

/** Raw bytes, or a content. */
interface Piece {
  readonly bytes?: Uint8Array;
  readonly content?: TarContent;
}

function* piecesOf(layout: TarLayout, contentOf: ContentOf): Generator<Piece, void> {
  let pieces: Piece[] = [];
  // Of the current member; undefined where it is left out.
  let content: TarContent | undefined;
  let padding: Uint8Array | undefined;
  const splitter = new TarSplitter(
    {
      member: (member, headers) => {
        content = contentOf(member);
        padding = undefined;
        if (content === undefined) return;
        const { sizeBytes } = content;
        if (sizeBytes !== member.sizeBytes) padding = new Uint8Array(paddingOf(sizeBytes));
        const bytes = sizeBytes === member.sizeBytes ? headers : resized(headers, sizeBytes);
        pieces.push({ bytes }, { content });
      },
      content: () => undefined,
      memberEnd: (original) => {
        if (content !== undefined) pieces.push({ bytes: padding ?? original.slice() });
      },
      rest: (bytes) => pieces.push({ bytes: bytes.slice() }),
    },
    { file: layout.file, contents: 'absent' },
  );
  for (const chunk of layout.chunks()) {
    for (let at = 0; at < chunk.length; at += PARSED_BYTES) {
      splitter.push(chunk.subarray(at, at + PARSED_BYTES));
      yield* pieces;
      pieces = [];
    }
  }
  splitter.end();
}

/** Headers of a member with another size. */
function resized(headers: Uint8Array, sizeBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < headers.length;) {
    const block = headers.subarray(at, at + BLOCK_BYTES);
    at += BLOCK_BYTES;
    if (at === headers.length) {
      parts.push(withSize(block, sizeBytes));
      break;
    }
    const { type, sizeBytes: payloadBytes } = decodeHeader(block);
    const end = at + payloadBytes + paddingOf(payloadBytes);
    const payload = headers.subarray(at, at + payloadBytes);
    parts.push(
      ...(resizedRecords(type, block, payload, sizeBytes) ?? [
        headers.subarray(at - BLOCK_BYTES, end),
      ]),
    );
    at = end;
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** A PAX header with another size in it; undefined if it speaks of none. */
function resizedRecords(
  type: string,
  block: Uint8Array,
  payload: Uint8Array,
  sizeBytes: number,
): Uint8Array[] | undefined {
  if (type !== 'x') return undefined;
  const records = parsePax(payload);
  if (!records.has('size')) return undefined;
  const bytes = encodePax(records.set('size', asciiBytes(String(sizeBytes))));
  return [withSize(block, bytes.length), bytes, new Uint8Array(paddingOf(bytes.length))];
}
