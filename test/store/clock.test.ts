/** The pauses of long work: the event loop turns, however many work at once. */
import { describe, expect, it } from 'vitest';
import { monotonicMs, Pacer } from '../../src/store/clock.ts';

/** Holds the thread for longer than anybody may without a pause. */
function work(): void {
  for (const end = monotonicMs() + 5; monotonicMs() < end;);
}

/** Counts turns of the event loop while `action` runs. */
async function withTurns(action: (turn: () => number) => Promise<void>): Promise<void> {
  let [turn, isOver] = [0, false];
  const next = (): void => {
    turn += 1;
    if (!isOver) setImmediate(next);
  };
  setImmediate(next);
  try {
    await action(() => turn);
  } finally {
    isOver = true;
  }
}

describe('a pacer', () => {
  it('lets the event loop turn between long pieces of work, also of several at once', async () => {
    const pacer = new Pacer(undefined);
    const turns: number[] = [];
    await withTurns(async (turn) => {
      const worker = async (): Promise<void> => {
        for (let step = 0; step < 4; step++) {
          await pacer.pause();
          turns.push(turn());
          work();
        }
      };
      work();
      await Promise.all([worker(), worker(), worker()]);
    });
    expect(turns).toHaveLength(12);
    expect(new Set(turns).size).toBe(12);
  });

  it('does not wait after a short piece of work', async () => {
    const pacer = new Pacer(undefined);
    await withTurns(async (turn) => {
      for (let i = 0; i < 10; i++) await pacer.pause();
      expect(turn()).toBe(0);
    });
  });

  it('ends all that wait when the signal fires', async () => {
    const controller = new AbortController();
    const pacer = new Pacer(controller.signal);
    work();
    const waiting = [pacer.pause(), pacer.pause()];
    controller.abort(new Error('enough'));
    const results = await Promise.allSettled(waiting);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(pacer.pause()).rejects.toThrow('enough');
  });
});
