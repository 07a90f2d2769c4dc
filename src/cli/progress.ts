/** A bar on standard error while something long runs; only people at a terminal get to see it. */
import type { Options, Params } from 'cli-progress';
import type { OperationOptions, Progress } from '../index.ts';
import { formatBytes } from './text.ts';

type OnProgress = NonNullable<OperationOptions['onProgress']>;

const WIDTH = 30;
const COUNTED_PHASES: readonly Progress['phase'][] = ['packs', 'snapshots'];

/** Does `work`, and shows on `stream` what it reports, if that is a terminal. */
export async function withProgress<T>(
  work: (onProgress: OnProgress | undefined) => Promise<T>,
  stream: NodeJS.WriteStream = process.stderr,
): Promise<T> {
  if (!stream.isTTY) return await work(undefined);
  // Loaded here, because most runs are not at a terminal, and start faster without.
  const { SingleBar } = (await import('cli-progress')).default;
  const bar = new SingleBar({
    stream,
    format: formatBar,
    clearOnComplete: true,
    hideCursor: null,
    // Signals are the business of main.
    gracefulExit: false,
  });
  try {
    return await work(({ phase, done, total }) => {
      if (!bar.isActive) bar.start(total, done, { phase });
      bar.setTotal(total);
      bar.update(done, { phase });
    });
  } finally {
    bar.stop();
  }
}

function formatBar(_: Options, { value, total }: Params, payload: unknown): string {
  const { phase } = payload as Pick<Progress, 'phase'>;
  const share = total === 0 ? 1 : Math.min(value / total, 1);
  const full = Math.floor(share * WIDTH);
  const format = COUNTED_PHASES.includes(phase) ? String : formatBytes;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const bar = '#'.repeat(full).padEnd(WIDTH, '-');
  return `${phase} [${bar}] ${percent}  ${format(value)} of ${format(total)}`;
}
