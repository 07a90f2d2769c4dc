#!/usr/bin/env node
/**
 * The command line: runs one command and ends with its status.
 *
 * SIGINT and SIGTERM stop the operation, which then cleans up after itself; the process ends when
 * that is done. Further ones change nothing: a Ctrl-C under npm or npx arrives twice. What was
 * complete before the signal is reported as done.
 */
import { CommanderError } from 'commander';
import { exitStatusOf } from './exit-status.ts';
import { printError, tameStreams } from './output.ts';
import { makeProgram } from './program.ts';

tameStreams();
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => {
    interruption.abort();
  });
}
try {
  await makeProgram(interruption.signal).parseAsync();
} catch (error) {
  // Commander has printed its own.
  if (!(error instanceof CommanderError)) printError(error);
  process.exitCode = exitStatusOf(error);
}
