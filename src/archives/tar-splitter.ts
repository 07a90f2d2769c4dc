/**
 * Takes a tar apart while it streams by: into its layout (every byte that is no content of a
 * regular file: headers, PAX records, long names, padding, the end) and the contents.
 *
 * Bytes are passed on as views of what was pushed, or of a header that was gathered; nothing else
 * is buffered. Every byte that goes in comes out in exactly one event, in order, so the events
 * together are the tar again. A layout alone can be parsed in the same way.
 */
import { StoreError } from '../errors.ts';
import { EXTENSION_BYTES_MAX } from './limits.ts';
import { parsePax } from './pax.ts';
import { BLOCK_BYTES, decodeHeader, paddingOf, type TarHeader } from './tar-header.ts';
import { describeMember, type TarMember } from './tar-member.ts';

/** Who is told what a tar consists of. */
export interface TarEvents {
  /** A member begins; `headers` are its blocks, the last of which is its own header. */
  member(member: TarMember, headers: Uint8Array): void;
  /** A piece of the content of the last member, which begins at `offset` of the tar. */
  content(bytes: Uint8Array, offset: number): void;
  /** The content is complete; this fills its last block. Comes for every member. */
  memberEnd(padding: Uint8Array): void;
  /** What belongs to no member: global PAX headers, and zeros at the end. */
  rest(bytes: Uint8Array): void;
}

/** Where the tar comes from, and how it is to be read. */
export interface TarSource {
  /** For errors. */
  readonly file: string;
  /** Whether contents are in it, or it is a layout. */
  readonly contents: 'present' | 'absent';
  /** What is in it, if that is known: a member cannot be larger. */
  readonly sizeBytes?: number | undefined;
}

type State = 'header' | 'extension' | 'content' | 'padding' | 'end';

const LONG_NAME = 'L';
const LONG_LINK = 'K';
const PAX = 'x';
const GLOBAL_PAX = 'g';
const EXTENSION_TYPES = new Set([LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX]);

/** The parser. Push every chunk, then call `end`. */
export class TarSplitter {
  readonly #events: TarEvents;
  readonly #source: TarSource;
  readonly #globals = new Map<string, Uint8Array>();
  #state: State = 'header';
  #offset = 0;
  /** Of content: bytes to come. Of everything else that is gathered: bytes wanted. */
  #wanted = BLOCK_BYTES;
  /** A header, extension or padding that a chunk has only a part of. */
  #parts: Uint8Array[] = [];
  #gathered = 0;
  /** Headers of the member to come, and what they say. */
  #headers: Uint8Array[] = [];
  #headersOffset = 0;
  #records = new Map<string, Uint8Array>();
  #longName: Uint8Array | undefined;
  #longLink: Uint8Array | undefined;
  #extension: TarHeader | undefined;
  #contentBytes = 0;
  #zeroBlocks = 0;

  constructor(events: TarEvents, source: TarSource) {
    this.#events = events;
    this.#source = source;
  }

  /** Parses on. The chunk must stay as it is only until this returns. */
  push(chunk: Uint8Array): void {
    // A Buffer's slice would be a view where everything here means a copy.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    while (at < bytes.length) {
      const piece = bytes.subarray(at, at + this.#room(bytes.length - at));
      at += piece.length;
      this.#take(piece);
    }
  }

  /** @throws StoreError unless the tar is complete. */
  end(): void {
    if (this.#state === 'end') return;
    throw this.#fail('the tar is cut off: its end blocks are missing', this.#offset);
  }

  #room(available: number): number {
    return this.#state === 'end' ? available : Math.min(available, this.#wanted - this.#gathered);
  }

  #take(piece: Uint8Array): void {
    const start = this.#offset;
    this.#offset += piece.length;
    if (this.#state === 'end') {
      this.#takeEnd(piece, start);
      return;
    }
    if (this.#state === 'content') {
      this.#wanted -= piece.length;
      this.#events.content(piece, start);
      if (this.#wanted === 0) this.#expectPadding();
      return;
    }
    this.#gathered += piece.length;
    if (this.#gathered < this.#wanted) {
      this.#parts.push(piece.slice());
      return;
    }
    const whole = this.#parts.length === 0 ? piece : joined([...this.#parts, piece]);
    this.#parts = [];
    this.#gathered = 0;
    const wholeStart = this.#offset - whole.length;
    if (this.#state === 'header') this.#takeHeader(whole, wholeStart);
    else if (this.#state === 'extension') this.#takeExtension(whole, wholeStart);
    else this.#takePadding(whole);
  }

  #takeHeader(block: Uint8Array, start: number): void {
    if (isZero(block)) {
      this.#takeZeroBlock(block, start);
      return;
    }
    if (this.#zeroBlocks > 0) throw this.#fail('a tar goes on behind a block of zeros', start);
    const header = this.#attempt(start, () => decodeHeader(block));
    if (this.#headers.length === 0) this.#headersOffset = start;
    this.#headers.push(block.slice());
    if (EXTENSION_TYPES.has(header.type)) {
      this.#beginExtension(header, start);
      return;
    }
    const extensions = {
      records: merged(this.#globals, this.#records),
      longName: this.#longName,
      longLink: this.#longLink,
    };
    const member = this.#attempt(start, () =>
      describeMember(header, extensions, this.#headersOffset),
    );
    this.#checkRoom(member.sizeBytes, start);
    this.#events.member(member, joined(this.#headers));
    this.#forgetHeaders();
    this.#contentBytes = member.sizeBytes;
    this.#wanted = member.sizeBytes;
    this.#state = 'content';
    if (this.#wanted === 0 || this.#source.contents === 'absent') this.#expectPadding();
  }

  #beginExtension(header: TarHeader, start: number): void {
    const { sizeBytes, type } = header;
    if (sizeBytes > EXTENSION_BYTES_MAX) {
      const message = `a tar header announces ${sizeBytes} bytes of names or records, at most `;
      throw this.#fail(`${message}${EXTENSION_BYTES_MAX} are allowed`, start);
    }
    if (this.#headers.length > EXTENSION_TYPES.size * 2) {
      throw this.#fail('a member has too many headers', start);
    }
    if (type === GLOBAL_PAX && this.#headers.length > 1) {
      throw this.#fail('a global PAX header stands between the headers of a member', start);
    }
    this.#extension = header;
    this.#wanted = sizeBytes + paddingOf(sizeBytes);
    this.#state = 'extension';
    if (this.#wanted === 0) this.#takeExtension(new Uint8Array(0), start);
  }

  #takeExtension(bytes: Uint8Array, start: number): void {
    const { type, sizeBytes } = this.#extension!;
    const payload = bytes.slice(0, sizeBytes);
    this.#headers.push(bytes.slice());
    if (type === LONG_NAME) this.#longName = upToNul(payload);
    else if (type === LONG_LINK) this.#longLink = upToNul(payload);
    else {
      const records = this.#attempt(start, () => parsePax(payload));
      const target = type === PAX ? this.#records : this.#globals;
      for (const [key, value] of records) target.set(key, value);
    }
    if (type === GLOBAL_PAX) {
      this.#checkGlobals(start);
      this.#events.rest(joined(this.#headers));
      this.#forgetHeaders();
    }
    this.#expectHeader();
  }

  #checkGlobals(start: number): void {
    // They are kept from header to header, and merged with every member's.
    if (this.#globals.size > 100) throw this.#fail('a tar has too many global records', start);
    for (const key of ['path', 'linkpath', 'size']) {
      if (this.#globals.has(key)) throw this.#fail(`a global PAX record says ${key}`, start);
    }
  }

  #expectPadding(): void {
    this.#wanted = paddingOf(this.#contentBytes);
    this.#state = 'padding';
    if (this.#wanted === 0) this.#takePadding(new Uint8Array(0));
  }

  #takePadding(padding: Uint8Array): void {
    this.#events.memberEnd(padding);
    this.#expectHeader();
  }

  #expectHeader(): void {
    this.#wanted = BLOCK_BYTES;
    this.#state = 'header';
  }

  #takeZeroBlock(block: Uint8Array, start: number): void {
    if (this.#headers.length > 0) throw this.#fail('a tar ends between two headers', start);
    this.#zeroBlocks += 1;
    if (this.#zeroBlocks === 2) this.#state = 'end';
    this.#events.rest(block);
  }

  #takeEnd(piece: Uint8Array, start: number): void {
    if (!isZero(piece)) throw this.#fail('a tar has garbage behind its end', start);
    this.#events.rest(piece);
  }

  #forgetHeaders(): void {
    this.#headers = [];
    this.#records = new Map();
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  #checkRoom(sizeBytes: number, start: number): void {
    const { contents, sizeBytes: total } = this.#source;
    if (contents === 'absent' || total === undefined || sizeBytes <= total - this.#offset) return;
    const left = total - this.#offset;
    throw this.#fail(`a tar header announces ${sizeBytes} bytes, ${left} are left`, start);
  }

  #attempt<T>(start: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const { code, message } = error as Error & Partial<StoreError>;
      throw this.#fail(message, start, error instanceof StoreError ? code : undefined);
    }
  }

  #fail(message: string, offset: number, code?: StoreError['code']): StoreError {
    return new StoreError(code ?? 'INVALID_IMAGE', message, { file: this.#source.file, offset });
  }
}

function merged(
  globals: Map<string, Uint8Array>,
  own: Map<string, Uint8Array>,
): Map<string, Uint8Array> {
  const records = globals.size === 0 ? own : new Map([...globals, ...own]);
  for (const [key, value] of records) if (isRevoked(key, value)) records.delete(key);
  return records;
}

// An empty value takes a record back; an extended attribute may well be empty.
function isRevoked(key: string, value: Uint8Array): boolean {
  return value.length === 0 && !key.startsWith('SCHILY.xattr.');
}

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

const ZEROS = new Uint8Array(4096);

function upToNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.slice(0, end);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
