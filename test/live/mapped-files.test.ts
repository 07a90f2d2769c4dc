/**
 * A file that a dumped process has mapped shared and writable changes without a trace: neither its
 * size nor its times move when a dirty page is changed once more. Its new bytes are captured all
 * the same, because the images say which files those are.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sharedMappings } from '../../src/criu/index.ts';
import { letSettle, listingOf, nextStamp } from '../support/captured-files.ts';
import { listTree } from '../support/listing.ts';
import { canMount, mountBind, mountMemory } from '../support/mounts.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';
import { type Counter, CRIU_VERSIONS, findCriu, Stage } from './criu.ts';

const hasPython = fs.existsSync('/usr/bin/python3');
if (!hasPython) process.stderr.write('SKIPPED: no python3, live tests of mapped files\n');

/** Maps a file, and counts in it at each signal; ends by itself after three minutes. */
const PROGRAM = `
import mmap, os, signal, sys, time
file = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(file, 8192)
os.close(file)
private = mmap.mmap(os.open(sys.argv[2], os.O_RDWR), 4096, mmap.MAP_PRIVATE)
count = 0
def step(*ignored):
    global count
    count += 1
    memory[4096:4104] = b'%08d' % count
signal.signal(signal.SIGUSR1, step)
step()
for i in range(3600): time.sleep(0.05)
`;

const PATIENCE_MS = 20_000;

/** The process, what it has counted in the file, and one more step. */
interface Mapper extends Counter {
  step(): Promise<void>;
}

async function startMapper(path: string, other: string): Promise<Mapper> {
  const child = spawn('/usr/bin/python3', ['-I', '-S', '-c', PROGRAM, path, other], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env: {},
  });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  };
  onTestFinished(kill);
  const count = (): number => Number(fs.readFileSync(path, 'latin1').slice(4096, 4104));
  const countAbove = async (value: number): Promise<number> => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (!(count() > value)) {
      if (performance.now() > giveUpAt) throw new Error(`still at ${count()}`);
      await sleep(5);
    }
    return count();
  };
  const step = async (): Promise<void> => {
    const before = count();
    child.kill('SIGUSR1');
    await countAbove(before);
  };
  await countAbove(0);
  return { pid: child.pid ?? -1, count, countAbove, kill, step };
}

/**
 * A tree in which files have the paths that the process knows them by, as in a container: their
 * directory is mounted there once more.
 */
function makeUpper(place: string): { upper: string; mapped: string; other: string } {
  const data = join(place, 'data');
  fs.mkdirSync(data);
  const [mapped, other] = [join(data, 'mapped'), join(data, 'other')];
  fs.writeFileSync(mapped, '-'.repeat(10_000));
  fs.writeFileSync(other, '-'.repeat(10_000));
  const upper = join(place, 'upper');
  mountBind(data, join(upper, data));
  return { upper, mapped, other };
}

describe.each(CRIU_VERSIONS)('with CRIU %s', (version) => {
  const criu = findCriu(version) ?? '';
  const canRun = criu !== '' && canMount && hasPython;

  test.skipIf(!canRun).each(['memory', 'memory under another name', 'disk'])(
    'a file in %s that a process changes through a mapping is captured as it is',
    async (kind) => {
      const stage = new Stage();
      onTestFinished(() => stage.close());
      const store = await openUnmanaged(stage.path('store'), { create: true });
      onTestFinished(() => store.close());
      const place = stage.path('place');
      if (kind !== 'disk') mountMemory(place, 8192);
      else fs.mkdirSync(place);
      const { upper, mapped, other } = makeUpper(place);
      if (kind.endsWith('name')) fs.linkSync(mapped, join(dirname(mapped), 'first-name'));
      // The directory of this stage is on the way to the file, in the tree too.
      expect(fs.statSync(join(upper, dirname(mapped), 'mapped')).ino).toBe(fs.statSync(mapped).ino);
      const mapper = await startMapper(mapped, other);
      letSettle();
      nextStamp();

      for (const moment of [1, 2, 3]) {
        const images = stage.path(`images-${moment}`);
        await stage.dump(criu, mapper, images, { leaveRunning: true });
        const paths = sharedMappings((name) =>
          fs.existsSync(join(images, name)) ? fs.readFileSync(join(images, name)) : undefined,
        );
        expect(paths.map((path) => Buffer.from(path).toString())).toEqual([mapped]);
        const snapshot = await store.timeline('t').capture({ images, files: upper });
        const files = stage.path(`files-${moment}`);
        await snapshot.restore(stage.path(`restored-${moment}`), { files });
        expect(fs.readFileSync(join(files, mapped), 'latin1').slice(4096, 4104)).toBe(
          `0000000${moment}`,
        );
        expect(listTree(files, { holes: false })).toHaveLength(listingOf(upper).length);
        const before = fs.statSync(mapped, { bigint: true });
        nextStamp();
        await mapper.step();
        // What this test is about: nothing tells that the file is another one.
        const after = fs.statSync(mapped, { bigint: true });
        if (kind !== 'disk') {
          expect([after.ctimeNs, after.mtimeNs]).toEqual([before.ctimeNs, before.mtimeNs]);
        }
      }
    },
  );
});
