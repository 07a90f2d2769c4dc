/** Errors on their way between threads: what is asked of them afterwards is still there. */
import { describe, expect, it } from 'vitest';
import { isDamage, StoreError, systemCode } from '../../src/errors.ts';
import { receiveError, sendError } from '../../src/slices/messages.ts';
import { systemError } from '../support/faulty-files.ts';

/** The way through a port. */
const sent = (error: unknown): Error => receiveError(structuredClone(sendError(error)));

function sentStoreError(error: unknown): StoreError {
  const received = sent(error);
  if (received instanceof StoreError) return received;
  throw new Error('not a StoreError', { cause: received });
}

describe('an error that is sent to another thread', () => {
  it('is the same StoreError there, with its place', () => {
    const place = { file: 'a.pack', offset: 77, snapshot: '01KAJ' };
    const error = new StoreError('CORRUPT', 'damaged block', place);
    const received = sentStoreError(error);
    expect(received).toMatchObject({ code: 'CORRUPT', ...place, name: 'StoreError' });
    expect([received.message, received.summary]).toEqual([error.message, error.summary]);
    expect(received.cause).toBeUndefined();
  });

  it('keeps its name where that is another one', () => {
    expect(sent(new StoreError('ABORTED', 'the signal fired')).name).toBe('AbortError');
  });

  it('keeps the chain of its causes, whatever they are', () => {
    const root = systemError('ENOSPC', 'write');
    const middle = new StoreError('STORAGE', 'cannot write', { file: 'b', cause: root });
    const top = new StoreError('CORRUPT', 'gone', { offset: 3, cause: middle });
    const { cause } = sentStoreError(top);
    expect(cause).toBeInstanceOf(StoreError);
    const first = { code: 'STORAGE', file: 'b', message: middle.message };
    expect(cause).toMatchObject({ ...first, cause: { message: root.message, code: 'ENOSPC' } });
    expect(sent(new Error('a', { cause: 'text' })).cause).toMatchObject({ message: 'text' });
  });

  it('is an error of the system there if it was one here', () => {
    const error = systemError('EIO', 'read');
    expect(systemCode(sent(error))).toBe('EIO');
    expect(isDamage(sent(error))).toBe(true);
    const wrapped = new StoreError('STORAGE', 'cannot read pack', { file: 'a', cause: error });
    expect(isDamage(wrapped)).toBe(true);
    expect(isDamage(sent(wrapped))).toBe(true);
    const full = new StoreError('STORAGE', 'cannot write', {
      cause: systemError('ENOSPC', 'write'),
    });
    expect(isDamage(sent(full))).toBe(false);
    expect(systemCode(sent(new Error('no code')))).toBeUndefined();
  });

  it('tells where it was thrown', () => {
    const error = new RangeError('out of range');
    expect(sent(error)).toMatchObject({ message: 'out of range', stack: error.stack });
  });

  it('may have been anything that can be thrown', () => {
    expect(sent('a text')).toMatchObject({ message: 'a text' });
    expect(sent(undefined)).toMatchObject({ message: 'undefined' });
  });
});
