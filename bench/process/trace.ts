/**
 * What a command costs beside time: its peak memory, and how often it asks for durability. Both
 * come from runs that are not timed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { areInstalled, skipLoudly } from './programs.ts';
import { outputOf, runShell, type Ended, type ShellCommand } from './shell.ts';

const DURABILITY_CALLS = 'fsync,fdatasync,sync,syncfs,msync,sync_file_range';

/** Number of getrusage where Perl may be asked for it; it is the same on all 64-bit Linux. */
const GETRUSAGE: Readonly<Record<string, number>> = { x64: 98, arm64: 165 };

/**
 * Runs what follows and writes ru_maxrss of its children to a file. Perl, because it is in Debian's
 * base system and small: a process begins with the peak of the one that forked it, so that below
 * Node everything would seem to take at least what Node took (492 MB were read for a child of
 * 40 MB). ru_maxrss, in KiB, is the fifth long of struct rusage; RUSAGE_CHILDREN is -1.
 */
const PEAK_PROGRAM = `
  my ($number, $path, @command) = @ARGV;
  my $status = system(@command);
  my $usage = "\\0" x 144;
  syscall($number + 0, -1, $usage);
  open(my $file, ">", $path) or die;
  print $file (unpack("q5", $usage))[4];
  close($file);
  exit($status == 0 ? 0 : 1);`;

/** What can be found out here. */
export interface Tracing {
  readonly peak: boolean;
  readonly durabilityCalls: boolean;
}

/** Tries both, and says loudly what does not work. */
export async function findTracing(): Promise<Tracing> {
  return { peak: await canReadPeaks(), durabilityCalls: await canCountCalls() };
}

/** Whether peaks can be found here; says loudly if not. */
export async function canReadPeaks(): Promise<boolean> {
  if (GETRUSAGE[process.arch] === undefined) {
    skipLoudly(`peak memory of peers: the number of getrusage on ${process.arch} is not known`);
    return false;
  }
  return await areInstalled('peak memory of peers', [{ command: 'perl', package: 'perl' }]);
}

async function canCountCalls(): Promise<boolean> {
  const program = { command: 'strace', package: 'strace' };
  if (!(await areInstalled('counting fsyncs', [program]))) return false;
  if ((await outputOf('strace -f -c --seccomp-bpf -o /dev/null true')) !== undefined) return true;
  skipLoudly('counting fsyncs: strace is too old, or not allowed to trace');
  return false;
}

/** Peak resident bytes of the largest process of a command. */
export async function peakOf(command: ShellCommand, scratch: string): Promise<number> {
  return (await runWithPeak(command, scratch)).peakBytes;
}

/** Runs a command, and finds its peak on the way: that adds a few milliseconds, Perl's start. */
export async function runWithPeak(
  command: ShellCommand,
  scratch: string,
): Promise<Ended & { readonly peakBytes: number }> {
  const path = join(scratch, 'peak.txt');
  const number = String(GETRUSAGE[process.arch]);
  const ended = await runShell(command, ['perl', '-e', PEAK_PROGRAM, number, path]);
  return { ...ended, peakBytes: Number(readFileSync(path, 'latin1')) * 1024 };
}

/** Calls that ask the kernel to write to the disk, of a command and all that it starts. */
export async function durabilityCallsOf(command: ShellCommand, scratch: string): Promise<number> {
  const path = join(scratch, 'trace.txt');
  const options = ['-f', '-c', '--seccomp-bpf', '-o', path, '-e', `trace=${DURABILITY_CALLS}`];
  await runShell(command, ['strace', ...options]);
  return countCalls(readFileSync(path, 'utf8'));
}

/** The sum over the lines of `strace -c`: share, seconds, microseconds a call, calls, …, name. */
export function countCalls(summary: string): number {
  let calls = 0;
  for (const line of summary.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (DURABILITY_CALLS.split(',').includes(fields.at(-1) ?? '')) calls += Number(fields[3]);
  }
  return calls;
}
