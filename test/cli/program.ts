/**
 * Runs programs of this repository the way a shell does: the command as it is built, examples from
 * their sources.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ensureBuilt } from './built.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
// Not tsx itself, which would leave the worker threads of the program without it.
const FROM_SOURCE = ['--import', './test/support/typescript.mjs', '-C', '@criu-timeline/source'];

/** What is left of a program when it has ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts a program of the repository from its source, such as `examples/demo.ts`. */
export function startProgram(program: string, args: readonly string[]): Running {
  return startNode([...FROM_SOURCE, program, ...args], 'pipe', 'ignore');
}

/** `stdout` and `stdin` may be descriptors. */
function startNode(
  args: readonly string[],
  stdout: 'pipe' | number,
  stdin: 'ignore' | number,
): Running {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: [stdin, stdout, 'pipe'] });
  const status = new Promise<number | null>((resolve) => child.on('close', resolve));
  const outputs = Promise.all([status, allOf(child.stdout), allOf(child.stderr)]);
  const ended = outputs.then(([status, stdout, stderr]) => ({ status, stdout, stderr }));
  return { child, ended };
}

/** What comes out of a stream until it ends, or until a test has had enough of it. */
async function allOf(stream: Readable | null): Promise<string> {
  return stream === null ? '' : await text(stream).catch(() => '');
}

/** Starts `criu-timeline` as it is built, which takes a quarter of the time of its sources. */
export function startCommand(
  args: readonly string[],
  stdout: 'pipe' | number = 'pipe',
  stdin: 'ignore' | number = 'ignore',
): Running {
  ensureBuilt();
  return startNode(['dist/cli/main.js', ...args], stdout, stdin);
}

/** Runs `criu-timeline`. */
export async function run(...args: string[]): Promise<Ended> {
  return await startCommand(args).ended;
}

/** Runs `criu-timeline`, which must succeed and print nothing else; returns its lines. */
export async function linesOf(...args: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await run(...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.endsWith('\n')).toBe(true);
  return stdout.slice(0, -1).split('\n');
}

/** Runs `criu-timeline` with `--json`; what it prints must be one document, in one line. */
export async function documentOf(...args: string[]): Promise<Record<string, unknown>> {
  const lines = await linesOf(...args, '--json');
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

/** What a failure must look like: nothing on standard output, one line on standard error. */
export async function expectFailure(
  expected: { readonly status: number; readonly message: RegExp },
  ...args: string[]
): Promise<void> {
  const { status, stdout, stderr } = await run(...args);
  expect({ status, stdout }, stderr).toEqual({ status: expected.status, stdout: '' });
  expect(stderr).toMatch(/^criu-timeline: [^\n]+\n$/);
  expect(stderr).toMatch(expected.message);
}
