/** The program: its commands, and what its help says about all of them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { backupCommand } from './backup.ts';
import { captureCommand } from './capture.ts';
import { collectCommand } from './collect.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { listCommand } from './list.ts';
import { noteCommand } from './note.ts';
import { pinCommand } from './pin.ts';
import { pruneCommand } from './prune.ts';
import { removeCommand } from './remove.ts';
import { repairCommand } from './repair.ts';
import { restoreCommand } from './restore.ts';
import { showCommand } from './show.ts';
import { statsCommand } from './stats.ts';
import { undeleteCommand } from './undelete.ts';
import { verifyCommand } from './verify.ts';

const HELP = `
SNAPSHOT is an id, a unique prefix of one (8 characters or more), TIMELINE (its
newest), TIMELINE@7 (its seventh) or TIMELINE@2026-11-21T10:00:00Z (the newest
that is not after this time).

With --json a command prints one JSON document on standard output, and nothing
there when it fails. Errors are one line on standard error; so is progress, and
only at a terminal.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 the store is damaged,
130 interrupted (SIGINT or SIGTERM; nothing is left half done).`;

/** Makes the program; `signal` stops what it is doing. */
export function makeProgram(signal: AbortSignal): Command {
  const program = new Command('criu-timeline')
    .description('Keeps the CRIU checkpoints of containers in a store, and gives any of them back.')
    .version(readVersion())
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(errorLine(text)) });
  const commands = [
    captureCommand(signal),
    listCommand(),
    showCommand(),
    restoreCommand(signal),
    importCommand(signal),
    exportCommand(signal),
    removeCommand(signal),
    undeleteCommand(signal),
    pinCommand(signal),
    noteCommand(signal),
    pruneCommand(signal),
    collectCommand(signal),
    verifyCommand(signal),
    backupCommand(signal),
    repairCommand(signal),
    statsCommand(),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  return program;
}

/** Commander's error, which may go on with a suggestion below, in one line like all others. */
function errorLine(text: string): string {
  const message = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ');
  return `criu-timeline: ${message}\n`;
}

function readVersion(): string {
  const path = fileURLToPath(import.meta.resolve('criu-timeline/package.json'));
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}
