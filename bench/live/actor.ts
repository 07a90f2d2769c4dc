/** A program that is dumped while it runs: in a session of its own, and ended in any case. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A running program. */
export interface Actor {
  readonly pid: number;
  /** Kills it with all it started. */
  end(): Promise<void>;
}

/**
 * Starts a program without terminal and environment, so that nothing of this process gets into its
 * memory. `detached` is setsid(): CRIU refuses a process whose session's leader is not dumped.
 */
export async function startActor(
  program: string,
  parameters: readonly string[],
  cwd: string,
): Promise<Actor> {
  const child = spawn(program, [...parameters], {
    cwd,
    env: { PATH },
    stdio: 'ignore',
    detached: true,
  });
  await once(child, 'spawn');
  const pid = child.pid as number;
  const kill = (): void => killGroup(pid);
  // For whatever ends this process without asking us.
  process.on('exit', kill);
  return {
    pid,
    end: async () => {
      process.off('exit', kill);
      const ended = child.exitCode ?? child.signalCode;
      if (ended === null) await Promise.all([once(child, 'exit'), killIt(child)]);
    },
  };
}

async function killIt(child: ChildProcess): Promise<void> {
  killGroup(child.pid as number);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
