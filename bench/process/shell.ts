/**
 * Runs shell commands, one after the other, each in a process group of its own, so that whatever a
 * command started can be ended with it. Asynchronous only so that signals are handled meanwhile.
 */
import { spawn } from 'node:child_process';

/** A line for bash. Names with blanks and the like come in as variables, never in the line. */
export interface ShellCommand {
  readonly line: string;
  readonly cwd: string;
  readonly variables?: Readonly<Record<string, string>>;
}

/** How a command went. */
export interface Ended {
  readonly milliseconds: number;
  readonly stdout: string;
}

const running = new Set<number>();
const SHELL = ['bash', '-o', 'pipefail', '-c'] as const;
const SHOWN_CHARACTERS = 2000;

/**
 * Runs a command to its end; one that fails is an error with the end of its output. The time is
 * from before the shell starts until its output is closed, which is what a user waits.
 *
 * @param wrapper a program with parameters, which runs the command that follows them.
 */
export async function runShell(
  command: ShellCommand,
  wrapper: readonly string[] = [],
): Promise<Ended> {
  const words = [...wrapper, ...SHELL, command.line];
  const [program, parameters] = [words[0] as string, words.slice(1)];
  const start = performance.now();
  const child = spawn(program, parameters, {
    cwd: command.cwd,
    env: { ...process.env, ...command.variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  let stdout = '';
  let complaint = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => {
    complaint = (complaint + String(chunk)).slice(-SHOWN_CHARACTERS);
  });
  const status = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(String(code ?? signal)));
  }).finally(() => {
    if (pid !== undefined) running.delete(pid);
  });
  const milliseconds = performance.now() - start;
  if (status === '0') return { milliseconds, stdout };
  const output = `${stdout.slice(-SHOWN_CHARACTERS)}${complaint}`.trim();
  throw new Error(`${command.line}\nended with ${status}:\n${output}`);
}

/** What a command prints, or undefined when it cannot be run. */
export async function outputOf(line: string): Promise<string | undefined> {
  try {
    return (await runShell({ line, cwd: '/' })).stdout;
  } catch {
    return undefined;
  }
}

/** Kills whatever still runs, with all that it started. */
export function killRunning(): void {
  for (const pid of running) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
}
