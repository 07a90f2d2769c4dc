/**
 * Dumps of live processes with the real CRIU, where it runs: `criu` in PATH, or the program that
 * the environment variable CRIU names.
 */
import { mkdirSync } from 'node:fs';
import { skipLoudly } from '../process/programs.ts';
import { outputOf, runShell } from '../process/shell.ts';

/** A CRIU that works here. */
export interface Criu {
  readonly version: string;
  /** Dumps a process and its children into `directory`, which must be absent; it goes on. */
  dump(pid: number, directory: string): Promise<void>;
}

/** Finds it; undefined, with a loud note, when there is none, or it cannot work here. */
export async function findCriu(): Promise<Criu | undefined> {
  const program = process.env['CRIU'] ?? 'criu';
  const variables = { CRIU: program };
  try {
    await runShell({ line: 'command -v "$CRIU" && "$CRIU" check', cwd: '/', variables });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n').slice(1).join(' ') : '';
    skipLoudly(
      `live dumps: ${program} is not there or cannot run here (${reason}); made-up ones are ` +
        'used instead; try: apt-get install criu, and to be root',
    );
    return undefined;
  }
  const version = (await outputOf(`"${program}" --version`)) ?? '';
  return {
    version: /Version: (\S+)/.exec(version)?.[1] ?? 'unknown',
    dump: async (pid, directory) => {
      mkdirSync(directory, { recursive: true });
      // The log goes elsewhere: it is not a part of the dump.
      const line =
        `"$CRIU" dump -t ${pid} -D "$DIRECTORY" --leave-running --ext-unix-sk ` +
        '--file-locks -v0 -o /dev/null';
      await runShell({ line, cwd: '/', variables: { ...variables, DIRECTORY: directory } });
    },
  };
}
