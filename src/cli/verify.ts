/** `verify`: reads the store and lists what is damaged. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type {
  LostSnapshot,
  LostSpace,
  VerifyLevel,
  VerifyProblem,
  VerifyReport,
} from '../index.ts';
import { parseByteCount } from './byte-count.ts';
import { EXIT_STATUS } from './exit-status.ts';
import { withProgress } from './progress.ts';
import { readingCommand, runOnStore, type ReadingCommandOptions } from './store-command.ts';
import { count, formatBytes, formatTime, printable } from './text.ts';

interface VerifyOptions extends ReadingCommandOptions {
  readonly level: VerifyLevel;
  readonly maxBytes?: number;
  readonly maxSeconds?: number;
}

const LEVELS: readonly VerifyLevel[] = ['quick', 'packs', 'snapshots'];

const LEVEL_HELP = `
Levels:
  quick      the catalog, and the tables and manifests of every pack
  packs      also every page in the packs
  snapshots  also every page of every snapshot

With --max-bytes or --max-seconds, nothing more is begun once so much was read,
or so long. What has waited longest comes first: packs, then snapshots, or the other
way round. So a run every night gets round the whole store.

Every problem is a line, and so is every snapshot of which something is lost; the
exit status is 3 when there is one.`;

/** The command. */
export function verifyCommand(signal: AbortSignal): Command {
  return readingCommand('verify', 'read the store and list what is damaged')
    .addOption(
      new Option('--level <level>', 'how much to read').choices(LEVELS).default('snapshots'),
    )
    .option('--max-bytes <size>', 'how many bytes to read, such as 10G', parseByteCount)
    .option('--max-seconds <seconds>', 'how long to read', parseSeconds)
    .addHelpText('after', LEVEL_HELP)
    .action(async (options: VerifyOptions) => {
      const { level, maxBytes, maxSeconds } = options;
      const maxMilliseconds = maxSeconds === undefined ? undefined : maxSeconds * 1000;
      await runOnStore(options, async (store) => {
        const report = await withProgress((onProgress) =>
          store.verify({ level, maxBytes, maxMilliseconds, signal, onProgress }),
        );
        const isWhole = report.problemCount === 0 && report.damagedPacks.length === 0;
        if (!isWhole) process.exitCode = EXIT_STATUS.corrupt;
        return { document: report, lines: linesOf(report) };
      });
    });
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text !== '' && seconds > 0 && Number.isFinite(seconds)) return seconds;
  throw new InvalidArgumentError('A time is a number of seconds above 0.');
}

function linesOf(report: VerifyReport): string[] {
  const { problems, problemCount, unknownPacks, lostSnapshots, leftOut } = report;
  const more = problemCount - problems.length;
  return [
    ...problems.map(lineOf),
    ...(more > 0 ? [`and ${count(more, 'more problem')}`] : []),
    ...lostSnapshots.flatMap(lossOf),
    ...unknownPacks.map((path) => printable(`unknown pack: ${path}`)),
    ...(leftOut.packs + leftOut.snapshots > 0 ? [leftOutOf(report)] : []),
    summaryOf(report),
  ];
}

function lossOf({ id, timeline, sequence, lost, spaces, spaceCount }: LostSnapshot): string[] {
  const more = spaceCount - spaces.length;
  return [
    printable(`lost: ${id}  ${timeline}@${sequence}  ${lost}`),
    ...spaces.map(spaceOf),
    ...(more > 0 ? [`  and ${count(more, 'more space')}`] : []),
  ];
}

function spaceOf({ image, space, lostBytes, ranges, rangeCount }: LostSpace): string {
  const names = [image, space].filter((name) => name !== undefined && name !== '').join(' ');
  const [first] = ranges;
  const where = first === undefined ? '' : `, first at ${first.address ?? `byte ${first.offset}`}`;
  const pieces = `${formatBytes(lostBytes)} in ${count(rangeCount, 'piece')}`;
  return printable(`  ${names}  ${pieces}${where}`);
}

function leftOutOf({ leftOut, oldestVerifiedAt }: VerifyReport): string {
  const { packs, packBytes, snapshots } = leftOut;
  const what = [
    `${count(packs, 'pack')} (${formatBytes(packBytes)})`,
    count(snapshots, 'snapshot'),
  ];
  const since = oldestVerifiedAt === undefined ? 'never' : formatTime(oldestVerifiedAt);
  return `left out: ${what.join(', ')}; the pack that waits longest was last found right: ${since}`;
}

function lineOf({ code, message, snapshot }: VerifyProblem): string {
  const isNamed = snapshot === undefined || message.includes(snapshot);
  return printable(`${code}: ${message}${isNamed ? '' : ` (snapshot ${snapshot})`}`);
}

function summaryOf({ level, packs, snapshots, problemCount }: VerifyReport): string {
  const read = `${count(packs, 'pack')} and ${count(snapshots, 'snapshot')}`;
  const found = problemCount === 0 ? 'no problems' : count(problemCount, 'problem');
  return `${read} verified at level ${level}: ${found}`;
}
