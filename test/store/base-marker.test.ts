/** Following deltas down to what they stand on, in stores of very many segments. */
import { expect, test } from 'vitest';
import { BaseMarker } from '../../src/store/base-marker.ts';
import { Pacer } from '../../src/store/clock.ts';
import type { StoreContext } from '../../src/store/context.ts';
import { LiveSlots } from '../../src/store/live-slots.ts';
import { TimeLimit } from '../../src/store/time-limit.ts';

test('more segments than a call takes arguments are looked at like few', async () => {
  const live = new LiveSlots();
  const count = 130_000;
  for (let number = 1; number <= count; number++) live.of(number).add(0);
  let looks = 0;
  const segments = {
    at: () => {
      looks += 1;
      return undefined;
    },
  };
  const marker = new BaseMarker({ segments } as unknown as StoreContext, live);
  marker.again();
  await marker.run({ pacer: new Pacer(undefined), time: new TimeLimit(Infinity), damage: [] });
  expect(looks).toBe(count);
});
