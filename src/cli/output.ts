/**
 * Everything that is written to the standard streams: one JSON document or some lines per run, and
 * one line for an error. A reader who has seen enough (`| head`) is no error.
 */
import { printable } from './text.ts';

/** What a command found or did, for programs and for people. */
export interface Result {
  /** What `--json` prints; undefined where standard output is taken. */
  readonly document: object | undefined;
  /** What is printed without. */
  readonly lines: readonly string[];
}

/** Writes a result to standard output, and waits until it is there. */
export async function printResult(result: Result, asJson: boolean): Promise<void> {
  const { document } = result;
  if (document === undefined) return;
  const lines = asJson ? [JSON.stringify(document)] : result.lines;
  const text = lines.map((line) => `${line}\n`).join('');
  const error = await new Promise<Error | null | undefined>((resolve) => {
    process.stdout.write(text, resolve);
  });
  if (!error || isClosedPipe(error)) return;
  throw new Error(`cannot write to standard output: ${error.message}`, { cause: error });
}

/** Writes one line to standard error. */
export function printError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`criu-timeline: ${printable(message)}\n`);
}

/** Keeps failures of the standard streams from ending the program with a stack trace. */
export function tameStreams(): void {
  // Failures of standard output reach `printResult`; those of standard error can be told to no one.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
}

/** Whether an error says that a reader has seen enough. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
