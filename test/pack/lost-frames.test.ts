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
});
