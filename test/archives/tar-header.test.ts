/** Header blocks: every field that tools write, exact numbers, and no guesses. */
import { describe, expect, it } from 'vitest';
import {
  decodeHeader,
  hasChecksum,
  paddingOf,
  type TarHeader,
  withSize,
} from '../../src/archives/tar-header.ts';
import { type RawMember, rawMember } from '../support/made-archives.ts';

const decode = (member: Partial<RawMember>): TarHeader =>
  decodeHeader(rawMember({ name: 'a', ...member }).subarray(0, 512));

const bytes = (...values: number[]): string => String.fromCharCode(...values);

describe('a header block', () => {
  it('gives its fields', () => {
    const link = { type: '2', link: 'b', mode: 0o4755, owner: 1000 };
    const header = decode({ ...link, patch: { 136: '00000000017\0' } });
    expect(header).toMatchObject({ type: '2', mode: 0o4755, uid: 1000, gid: 1000 });
    expect(header).toMatchObject({ modifiedSeconds: 15, deviceMajor: 0, sizeBytes: 0 });
    expect(Buffer.from(header.linkName).toString()).toBe('b');
    expect(decode({ type: '3', device: [4, 64] })).toMatchObject({
      deviceMajor: 4,
      deviceMinor: 64,
    });
  });

  it('keeps names as raw bytes, up to the last one of the field', () => {
    const name = Buffer.alloc(100, 0xff);
    expect(Buffer.from(decode({ name }).name).equals(name)).toBe(true);
  });

  it('has a prefix of the name in the POSIX format only', () => {
    expect(Buffer.from(decode({ patch: { 345: 'dir/sub' } }).name).toString()).toBe('dir/sub/a');
    const gnu = decode({ patch: { 257: 'ustar  \0', 345: 'times' } });
    expect(Buffer.from(gnu.name).toString()).toBe('a');
  });

  it.each([
    ['zero', bytes(0x80, ...Array<number>(11).fill(0)), 0],
    ['9 GiB', bytes(0x80, 0, 0, 0, 0, 0, 0, 2, 0x40, 0, 0, 0), 9 * 2 ** 30],
  ])('may have its size in base 256: %s', (_name, field, expected) => {
    expect(decode({ patch: { 124: field } }).sizeBytes).toBe(expected);
  });

  it.each([
    ['-1', bytes(...Array<number>(12).fill(0xff)), -1],
    ['-256', bytes(...Array<number>(11).fill(0xff), 0), -256],
  ])('may have been modified before 1970: %s', (_name, field, expected) => {
    expect(decode({ patch: { 136: field } }).modifiedSeconds).toBe(expected);
  });

  it.each([
    ['a negative size', { 124: bytes(...Array<number>(12).fill(0xff)) }, /negative size -1/],
    ['a size beyond 2^53', { 124: bytes(0x80, ...Array<number>(11).fill(0x7f)) }, /absurd size/],
    ['a size that is no number', { 124: '000000000x1\0' }, /size that is no number/],
    ['two numbers in one field', { 124: '00001 000001' }, /size that is no number/],
    ['an owner beyond 32 bits', { 108: bytes(0x80, 0, 0, 1, 0, 0, 0, 0) }, /owner 4294967296/],
    ['a negative owner', { 108: bytes(...Array<number>(8).fill(0xff)) }, /negative owner/],
  ])('is refused with %s', (_name, patch, message) => {
    expect(() => decode({ patch })).toThrow(message);
  });

  it('is refused when a byte has changed', () => {
    const block = rawMember({ name: 'a' });
    expect(hasChecksum(block)).toBe(true);
    for (const offset of [0, 130, 156, 300, 511]) {
      const damaged = Buffer.from(block);
      damaged[offset] = damaged[offset]! ^ 1;
      expect(hasChecksum(damaged)).toBe(false);
      expect(() => decodeHeader(damaged)).toThrow(/checksum/);
    }
    expect(hasChecksum(new Uint8Array(512))).toBe(false);
    expect(hasChecksum(block.subarray(0, 100))).toBe(false);
  });

  it.each([0, 1, 8 ** 11 - 1, 8 ** 11, 2 ** 45])('can be given the size %d', (sizeBytes) => {
    const block = withSize(rawMember({ name: 'a', content: 'abc' }).subarray(0, 512), sizeBytes);
    expect(decodeHeader(block)).toMatchObject({ sizeBytes, type: '0' });
  });
});

it('content is padded to whole blocks', () => {
  expect([0, 1, 511, 512, 513].map(paddingOf)).toEqual([0, 511, 1, 0, 511]);
});
