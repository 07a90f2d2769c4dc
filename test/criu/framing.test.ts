import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  type ImagePiece,
  type ImageType,
  joinImage,
  splitImage,
} from '../../src/criu/index.ts';
import { fixture } from '../support/fixtures.ts';
import { madeImage, messagePiece, payloadPiece } from '../support/image-directories.ts';

const directories = ['zoo-4.1', 'zoo-4.2', 'chain-4.1', 'chain-4.2'].flatMap((name) =>
  readdirSync(fixture(name)).map((one) => fixture(`${name}/${one}`)),
);

const desc = { key: 1, uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, id: 3 };

/** Kinds and sizes of the pieces of an image. */
function shape(pieces: readonly ImagePiece[]): string[] {
  return pieces.map(({ type, bytes }) => type ?? `${bytes.length} bytes`);
}

function splitMade(type: ImageType, pieces: readonly ImagePiece[]): string[] {
  const bytes = madeImage(type, pieces);
  const split = splitImage(bytes);
  expect(joinImage(split)).toEqual(bytes);
  return shape(split.pieces);
}

describe('splitImage and joinImage', () => {
  it.each(directories)('give back every image of %s byte for byte', (directory) => {
    for (const item of readdirSync(directory, { withFileTypes: true })) {
      if (!item.isFile()) continue;
      const file = join(directory, item.name);
      const bytes = readFileSync(file);
      const split = splitImage(bytes, file);
      expect(Buffer.compare(joinImage(split), bytes), file).toBe(0);
      for (const { type, bytes: message, offset } of split.pieces) {
        if (type === undefined) continue;
        const again = encodeMessage(type, decodeMessage(type, message, { file, offset }));
        expect(again, `${file} at ${offset}`).toEqual(new Uint8Array(message));
      }
    }
  });

  it('find what was in pipes, of 0 bytes too', () => {
    const entry = (bytes: number): ImagePiece =>
      messagePiece('pipe_data_entry', { pipe_id: 1, bytes, size: 65536 });
    const pieces = [entry(3), payloadPiece(new Uint8Array(3)), entry(0), entry(1)];
    const shapes = ['pipe_data_entry', '3 bytes', 'pipe_data_entry', 'pipe_data_entry', '1 bytes'];
    const all = [...pieces, payloadPiece(new Uint8Array(1))];
    expect(splitMade('PIPES_DATA', all)).toEqual(shapes);
    expect(splitMade('FIFO_DATA', all)).toEqual(shapes);
  });

  it('find the packets of sockets', () => {
    const entry = messagePiece('sk_packet_entry', { id_for: 9, length: 5 });
    const pieces = [entry, payloadPiece(new Uint8Array(5)), entry, payloadPiece(new Uint8Array(5))];
    const packet = ['sk_packet_entry', '5 bytes'];
    expect(splitMade('SK_QUEUES', pieces)).toEqual([...packet, ...packet]);
  });

  it('find both queues of a TCP connection', () => {
    const lengths = { inq_len: 7, inq_seq: 1, outq_len: 9, outq_seq: 2 };
    const pieces = [messagePiece('tcp_stream_entry', lengths), payloadPiece(new Uint8Array(16))];
    expect(splitMade('TCP_STREAM', pieces)).toEqual(['tcp_stream_entry', '7 bytes', '9 bytes']);
  });

  it('find the keys and values of a BPF map', () => {
    const entry = { map_id: 1, keys_bytes: 8, values_bytes: 4, count: 2 };
    const pieces = [messagePiece('bpfmap_data_entry', entry), payloadPiece(new Uint8Array(12))];
    expect(splitMade('BPFMAP_DATA', pieces)).toEqual(['bpfmap_data_entry', '8 bytes', '4 bytes']);
  });

  it('find semaphores, rounded up to 8 bytes', () => {
    for (const [nsems, length] of [
      [1, 8],
      [4, 8],
      [5, 16],
    ] as const) {
      const entry = messagePiece('ipc_sem_entry', { desc, nsems });
      const pieces = [entry, payloadPiece(new Uint8Array(length)), entry];
      const all = [...pieces, payloadPiece(new Uint8Array(length))];
      const one = ['ipc_sem_entry', `${length} bytes`];
      expect(splitMade('IPCNS_SEM', all)).toEqual([...one, ...one]);
    }
  });

  it('find the messages of a queue, rounded up to 8 bytes', () => {
    const message = (msize: number): ImagePiece => messagePiece('ipc_msg', { mtype: 1n, msize });
    const pieces = [
      messagePiece('ipc_msg_entry', { desc, qbytes: 16384, qnum: 2 }),
      message(3),
      payloadPiece(new Uint8Array(8)),
      message(16),
      payloadPiece(new Uint8Array(16)),
      messagePiece('ipc_msg_entry', { desc, qbytes: 16384, qnum: 0 }),
    ];
    expect(splitMade('IPCNS_MSG', pieces)).toEqual([
      'ipc_msg_entry',
      'ipc_msg',
      '8 bytes',
      'ipc_msg',
      '16 bytes',
      'ipc_msg_entry',
    ]);
  });

  it('find shared memory of System V before CRIU 3.0, and none after', () => {
    const old = messagePiece('ipc_shm_entry', { desc, size: 5n });
    const inPagemaps = messagePiece('ipc_shm_entry', { desc, size: 5n, in_pagemaps: true });
    const pieces = [old, payloadPiece(new Uint8Array(8)), inPagemaps];
    expect(splitMade('IPCNS_SHM', pieces)).toEqual(['ipc_shm_entry', '8 bytes', 'ipc_shm_entry']);
  });

  it('find ghost files whole, in chunks, and without content', () => {
    const entry = { uid: 0, gid: 0, mode: 0o100600 };
    const whole = [messagePiece('ghost_file_entry', entry), payloadPiece(new Uint8Array(10))];
    expect(splitMade('GHOST_FILE', whole)).toEqual(['ghost_file_entry', '10 bytes']);
    expect(splitMade('GHOST_FILE', whole.slice(0, 1))).toEqual(['ghost_file_entry']);
    const chunks = [
      messagePiece('ghost_file_entry', { ...entry, chunks: true, size: 20_000n }),
      messagePiece('ghost_chunk_entry', { len: 4096n, off: 0n }),
      payloadPiece(new Uint8Array(4096)),
      messagePiece('ghost_chunk_entry', { len: 3n, off: 16384n }),
      payloadPiece(new Uint8Array(3)),
    ];
    expect(splitMade('GHOST_FILE', chunks)).toEqual([
      'ghost_file_entry',
      'ghost_chunk_entry',
      '4096 bytes',
      'ghost_chunk_entry',
      '3 bytes',
    ]);
  });

  it('take the whole of a raw image, and what follows the magic of an unknown one', () => {
    expect(shape(splitImage(new Uint8Array(9), 'ifaddr-1.img').pieces)).toEqual(['9 bytes']);
    const unknown = Uint8Array.from([0x19, 0x43, 0x56, 0x54, 1, 2, 3, 4, 5]);
    expect(shape(splitImage(unknown, 'new.img').pieces)).toEqual(['1 bytes']);
  });

  it('say where an image is cut off', () => {
    const bytes = madeImage('PSTREE', [
      messagePiece('pstree_entry', { pid: 1, ppid: 0, pgid: 1, sid: 1, threads: [1] }),
    ]);
    const place = { code: 'INVALID_IMAGE', file: 'pstree.img' };
    expect(() => splitImage(bytes.subarray(0, 15), 'pstree.img')).toThrow(
      expect.objectContaining({ ...place, offset: 12 }),
    );
    expect(() => splitImage(bytes.subarray(0, 10), 'pstree.img')).toThrow(
      expect.objectContaining({ ...place, offset: 8 }),
    );
  });

  it('refuse lengths beyond the end without taking memory for them', () => {
    const huge = [
      madeImage('PIPES_DATA', [
        messagePiece('pipe_data_entry', { pipe_id: 1, bytes: 2 ** 32 - 1 }),
      ]),
      madeImage('IPCNS_MSG', [
        messagePiece('ipc_msg_entry', { desc, qbytes: 1, qnum: 2 ** 32 - 1 }),
      ]),
      madeImage('IPCNS_SHM', [messagePiece('ipc_shm_entry', { desc, size: 2n ** 64n - 1n })]),
      madeImage('GHOST_FILE', [
        messagePiece('ghost_file_entry', { uid: 0, gid: 0, mode: 0, chunks: true }),
        messagePiece('ghost_chunk_entry', { len: 2n ** 64n - 1n, off: 0n }),
        payloadPiece(new Uint8Array(5)),
      ]),
      Uint8Array.from([...madeImage('PSTREE', []), 255, 255, 255, 255]),
    ];
    for (const bytes of huge) {
      expect(() => splitImage(bytes)).toThrow(expect.objectContaining({ code: 'INVALID_IMAGE' }));
    }
  });

  it('give back any image of any messages and payloads', () => {
    const packet = fc
      .uint8Array({ maxLength: 40 })
      .map((bytes) => [
        messagePiece('sk_packet_entry', { id_for: 1, length: bytes.length }),
        payloadPiece(bytes),
      ]);
    fc.assert(
      fc.property(fc.array(packet), (packets) => {
        const bytes = madeImage('SK_QUEUES', packets.flat());
        const split = splitImage(bytes);
        expect(joinImage(split)).toEqual(bytes);
        const payloads = packets
          .flat()
          .filter(({ kind, bytes: b }) => kind === 'payload' && b.length);
        expect(split.pieces.length).toBe(packets.length + payloads.length);
      }),
    );
  });
});
