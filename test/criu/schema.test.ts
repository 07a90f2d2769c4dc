import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  prepareMessage,
  unknownFields,
} from '../../src/criu/index.ts';

const vma = {
  start: 0x7fff_ffff_f000n,
  end: 2n ** 64n - 4096n,
  pgoff: 0n,
  shmid: 2n ** 53n + 1n,
  prot: 3,
  flags: 0x22,
  status: 0x201,
  fd: -1n,
};

describe('decodeMessage and encodeMessage', () => {
  it('keep 64-bit numbers exact, signed ones too', () => {
    expect(decodeMessage('vma_entry', encodeMessage('vma_entry', vma))).toMatchObject(vma);
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        (pgoff, fd) => {
          const bytes = encodeMessage('vma_entry', { ...vma, pgoff, fd });
          expect(decodeMessage('vma_entry', bytes)).toMatchObject({ pgoff, fd });
        },
      ),
    );
  });

  it('do the same after they were prepared', () => {
    const bytes = Uint8Array.from([8, 3, 16, 1, 24, 1, 32, 1, 0xa0, 6, 5]);
    prepareMessage('pstree_entry');
    prepareMessage('pstree_entry');
    const entry = decodeMessage('pstree_entry', bytes);
    expect(entry).toMatchObject({ pid: 3, ppid: 1, pgid: 1, sid: 1 });
    expect(encodeMessage('pstree_entry', entry)).toEqual(bytes);
  });

  it('keep unknown fields, of inner messages too', () => {
    // Field 200 in an inventory, field 100 in its root_ids.
    const ids = [8, 1, 16, 1, 24, 1, 32, 1, 0xa0, 6, 5];
    const bytes = Uint8Array.from([8, 2, 26, ids.length, ...ids, 0xc2, 12, 2, 97, 98]);
    const inventory = decodeMessage('inventory_entry', bytes);
    expect(unknownFields(inventory)).toEqual([Uint8Array.of(0xc2, 12, 2, 97, 98)]);
    expect(encodeMessage('inventory_entry', inventory)).toEqual(bytes);
  });

  it('keep the unknown fields of a message that was edited', () => {
    const bytes = Uint8Array.from([8, 2, 0xc0, 12, 7]);
    const edited = { ...decodeMessage('inventory_entry', bytes), img_version: 0 };
    const kept = Object.defineProperty(edited, '$unknowns', {
      value: unknownFields(decodeMessage('inventory_entry', bytes)),
    });
    expect(encodeMessage('inventory_entry', kept)).toEqual(Uint8Array.from([8, 0, 0xc0, 12, 7]));
  });

  it('keep texts that are not UTF-8', () => {
    const name = Uint8Array.of(0xff, 0xfe, 0x2f);
    const message = { name, uid: 0, gid: 0, size: 1n, shmid: 1, seals: 0, inode_id: 1n };
    const bytes = encodeMessage('memfd_inode_entry', message);
    expect(decodeMessage('memfd_inode_entry', bytes)['name']).toEqual(name);
  });

  it('take enumeration values that a newer CRIU may have', () => {
    const bytes = encodeMessage('core_entry', { mtype: 99 });
    expect(decodeMessage('core_entry', bytes)['mtype']).toBe(99);
  });

  it('say where a message is that cannot be decoded', () => {
    const place = { file: 'pstree.img', offset: 12 };
    const wrong = [
      [8],
      [8, 1],
      [10, 200],
      [11],
      [255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
    ];
    for (const bytes of wrong) {
      expect(() => decodeMessage('pstree_entry', Uint8Array.from(bytes), place)).toThrow(
        expect.objectContaining({ code: 'INVALID_IMAGE', ...place }),
      );
    }
  });
});
