/** The header of a head: 32 fixed bytes. */
import { expect, test } from 'vitest';
import { encodeHeadHeader, HEAD_HEADER_BYTES } from '../../src/manifest/head.ts';

test('the header of a head is its magic, the id of its snapshot, and reserved bytes', () => {
  const header = encodeHeadHeader(new Uint8Array(16).fill(0xab));
  expect(HEAD_HEADER_BYTES).toBe(32);
  expect(Buffer.from(header).toString('hex')).toBe(
    Buffer.from('criutlhd').toString('hex') + 'ab'.repeat(16) + '00'.repeat(8),
  );
});
