/** Where the dumps of a suite come from: from live processes where that works, else made up. */
import { join } from 'node:path';
import { generatedSource, type DumpSource } from '../generate/series.ts';
import { generatedStress } from '../generate/stress.ts';
import { REDIS, resized } from '../generate/workloads.ts';
import { findCriu, type Criu } from './criu.ts';
import { liveRedis } from './redis.ts';
import { liveStress } from './stress.ts';

/** Keys of the measured redis. */
const KEYS = 600_000;
const SETS = 20_000;

/** Looked for once, so that its absence is told once. */
let found: Promise<Criu | undefined> | undefined;

/** Dumps of redis under load; `share` makes it smaller. */
export async function redisSource(work: string, share: number): Promise<DumpSource> {
  const criu = await (found ??= findCriu());
  const load = { keys: KEYS * share, setsBetweenDumps: SETS * share };
  const live = criu && (await liveRedis(criu, join(work, 'redis'), load));
  return live ?? generatedSource(resized(REDIS, REDIS.pages * share));
}

/** Dumps of a process that keeps rewriting its memory. */
export async function stressSource(work: string, bytes: number): Promise<DumpSource> {
  const criu = await (found ??= findCriu());
  const live = criu && (await liveStress(criu, join(work, 'stress'), bytes));
  return live ?? generatedStress(bytes);
}
