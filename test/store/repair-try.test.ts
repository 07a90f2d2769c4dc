/** What a repair tries out. */
import { expect, test } from 'vitest';
import type { Candidate, Findings } from '../../src/store/repair-choose.ts';
import type { RepairWork } from '../../src/store/repair-plan.ts';
import { pickManifests } from '../../src/store/repair-try.ts';

test('has manifests of more snapshots than a call takes arguments', async () => {
  const isTriedOut = new Error('tried out');
  // A store of them would take minutes to make: to try them out is as far as this goes.
  const findings = {
    get packs(): Findings['packs'] {
      throw isTriedOut;
    },
  } as unknown as Findings;
  const nothing = undefined as never;
  const candidates = new Map<string, readonly Candidate[]>();
  for (let n = 0; n < 200_000; n++) candidates.set(String(n), []);
  const picked = pickManifests({} as RepairWork, findings, nothing, candidates);
  await expect(picked).rejects.toBe(isTriedOut);
});
