/** What is known to be damaged: each frame once, and each new one to be recorded once. */
import { describe, expect, it } from 'vitest';
import { LostFrames } from '../../src/pack/lost-frames.ts';

describe('LostFrames', () => {
  const frame = (file: string, offset: number) => ({ file, offset });

  it('knows what was reported, by file and offset', () => {
    const frames = new LostFrames();
    expect([frames.mayHave('a'), frames.has('a', 16)]).toEqual([false, false]);
    frames.report(frame('a', 16));
    frames.report(frame('a', 99));
    expect([frames.has('a', 16), frames.has('a', 99)]).toEqual([true, true]);
    expect([frames.has('a', 17), frames.has('b', 16)]).toEqual([false, false]);
    expect([frames.mayHave('a'), frames.mayHave('b')]).toEqual([true, false]);
    expect(frames.all()).toEqual([frame('a', 16), frame('a', 99)]);
  });

  it('hands each frame out to be recorded once, and none that was recorded before', () => {
    const frames = new LostFrames();
    frames.restore(frame('a', 16));
    for (const offset of [16, 20, 20]) frames.report(frame('a', offset));
    expect(frames.takeUnrecorded()).toEqual([frame('a', 20)]);
    frames.report(frame('a', 20));
    expect(frames.takeUnrecorded()).toEqual([]);
  });

  it('forgets what was found right, and hands it out no more', () => {
    const frames = new LostFrames();
    frames.report(frame('a', 16));
    frames.report(frame('a', 20));
    frames.forget(frame('a', 16));
    frames.forget(frame('b', 16));
    expect(frames.offsetsOf('a')).toEqual([20]);
    expect(frames.takeUnrecorded()).toEqual([frame('a', 20)]);
    frames.forget(frame('a', 20));
    expect([frames.isEmpty, frames.mayHave('a'), frames.offsetsOf('a')]).toEqual([true, false, []]);
  });

  it('takes over the record, and keeps what is only known here', () => {
    const frames = new LostFrames();
    frames.report(frame('found', 1));
    expect(frames.restoreAll([frame('a', 1), frame('a', 2), frame('b', 3)])).toEqual([]);
    expect(frames.all()).toHaveLength(4);
    // Mended by somebody else: of a, one frame; of b, the only one.
    expect(frames.restoreAll([frame('a', 2)])).toEqual(['a', 'b']);
    expect(frames.all()).toEqual([frame('found', 1), frame('a', 2)]);
    // Now that it is on record, it can be taken off it.
    expect(frames.restoreAll([frame('a', 2), frame('found', 1)])).toEqual([]);
    expect(frames.restoreAll([frame('a', 2)])).toEqual(['found']);
    expect(frames.all()).toEqual([frame('a', 2)]);
  });
});
