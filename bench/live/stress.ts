/** `stress --vm 1`, live: a process that allocates memory, touches all of it, and starts again. */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DumpSource } from '../generate/series.ts';
import { areInstalled } from '../process/programs.ts';
import { startActor } from './actor.ts';
import type { Criu } from './criu.ts';

const BETWEEN_MS = 300;

/** Starts it; undefined where it is not installed. */
export async function liveStress(
  criu: Criu,
  directory: string,
  bytes: number,
): Promise<DumpSource | undefined> {
  const program = { command: 'stress', package: 'stress' };
  if (!(await areInstalled('live stress', [program]))) return undefined;
  mkdirSync(directory, { recursive: true });
  const parameters = ['--vm', '1', '--vm-bytes', String(bytes), '--quiet'];
  const actor = await startActor(program.command, parameters, directory);
  return {
    label: `stress --vm 1 (live, CRIU ${criu.version})`,
    dump: async (target) => {
      await sleep(BETWEEN_MS);
      await criu.dump(actor.pid, target);
    },
    close: () => actor.end(),
  };
}
