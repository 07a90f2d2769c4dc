/** A repair that fails at any call of the system: the store can be repaired all the same. */
import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SnapshotStore, StoreError } from '../../src/index.ts';
import { EVERY_CALL, FaultyFiles } from '../support/faulty-files.ts';
import { copyStore, expectWhole, makeRichStore } from '../support/repairs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const original = makeRichStore(newPath);
/** Calls that change what is on the disk. */
const CHANGING = EVERY_CALL.filter((call) =>
  ['write', 'sync', 'chmod', 'mkdir', 'rename', 'link', 'unlink', 'removeTree'].includes(call),
);

test(
  'a repair that fails at any change of the disk can be made again',
  { timeout: 600_000 },
  async () => {
    let failures = 0;
    for (let nth = 1; ; nth++) {
      const rich = copyStore(await original, newPath());
      truncateSync(join(rich.directory, 'catalog.sqlite'), 24_000);
      const door = new FaultyFiles();
      door.arm({ calls: CHANGING, nth, code: 'EIO' });
      const { files } = door;
      const failure: unknown = await SnapshotStore.repair(rich.directory, { files }).catch(
        (error: unknown) => error,
      );
      if (door.disarm() === undefined) break;
      failures += 1;
      if (failure instanceof Error) expect(failure).toBeInstanceOf(StoreError);
      const report = await SnapshotStore.repair(rich.directory);
      expect(report.snapshots.lost).toEqual([]);
      await expectWhole(rich);
      rmSync(rich.directory, { recursive: true });
    }
    expect(failures).toBeGreaterThan(20);
  },
);
