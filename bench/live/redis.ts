/** A live redis-server: 600,000 keys of 100 bytes, 20,000 random SETs between two dumps. */
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DumpSource } from '../generate/series.ts';
import { Random } from '../generate/random.ts';
import { areInstalled } from '../process/programs.ts';
import { startActor, type Actor } from './actor.ts';
import type { Criu } from './criu.ts';

/** How big it is, and how much it changes. */
export interface RedisLoad {
  readonly keys: number;
  readonly setsBetweenDumps: number;
}

const VALUE = 'x'.repeat(100);
const BATCH = 10_000;
const REST_MS = 300;
const PATIENCE_MS = 10_000;

/** Starts a server in `directory` and loads it; undefined where redis is not installed. */
export async function liveRedis(
  criu: Criu,
  directory: string,
  { keys, setsBetweenDumps }: RedisLoad,
): Promise<DumpSource | undefined> {
  const program = { command: 'redis-server', package: 'redis-server' };
  if (!(await areInstalled('live redis', [program]))) return undefined;
  mkdirSync(directory, { recursive: true });
  const socket = join(directory, 'redis.sock');
  const options = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no'];
  const actor = await startActor(program.command, options, directory);
  const random = new Random(1);
  try {
    await waitFor(socket, actor);
    await setKeys(socket, { count: keys, keyOf: (i) => i });
  } catch (error) {
    await actor.end();
    throw error;
  }
  return {
    label: `redis (live, CRIU ${criu.version})`,
    dump: async (target) => {
      await setKeys(socket, { count: setsBetweenDumps, keyOf: () => random.below(keys) });
      // The connection has to be gone from the server: CRIU would ask what is at its other end.
      await sleep(REST_MS);
      await criu.dump(actor.pid, target);
    },
    close: () => actor.end(),
  };
}

async function waitFor(socket: string, actor: Actor): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!existsSync(socket)) {
    if (performance.now() > giveUpAt) throw new Error(`redis, ${actor.pid}, does not listen`);
    await sleep(10);
  }
}

interface Sets {
  readonly count: number;
  readonly keyOf: (index: number) => number;
}

/** Sends SETs in batches, and waits for the answers of each. */
async function setKeys(path: string, { count, keyOf }: Sets): Promise<void> {
  const connection = createConnection(path);
  await once(connection, 'connect');
  const answer = '+OK\r\n';
  for (let done = 0; done < count; done += BATCH) {
    const batch = Math.min(BATCH, count - done);
    const lines = Array.from({ length: batch }, (_, i) => {
      const key = `key:${String(keyOf(done + i)).padStart(12, '0')}`;
      return `*3\r\n$3\r\nSET\r\n$16\r\n${key}\r\n$${VALUE.length}\r\n${VALUE}\r\n`;
    });
    connection.write(lines.join(''));
    let bytes = 0;
    while (bytes < batch * answer.length) {
      const [chunk] = (await once(connection, 'data')) as [Buffer];
      bytes += chunk.length;
    }
  }
  connection.destroy();
}
