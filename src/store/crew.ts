/** Gets threads ready for an operation of a store: what they must know, and what they report. */
import type { SessionSource, TaskReport } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';
import { NO_CELLS } from '../slices/page-cells.ts';
import type { StoreContext } from './context.ts';

/** What an operation wants of its threads. */
export interface CrewNeeds {
  /** How much it is about; as much as can be, unless given. */
  readonly bytes?: number | undefined;
  /** The contents that a capture reads. */
  readonly sources?: readonly SessionSource[] | undefined;
  /** Memory of the cells for pages. */
  readonly cells?: SharedArrayBuffer | undefined;
  /** Path of the base's head. */
  readonly head?: string | undefined;
  /** Whether frames that are known to be damaged are not even tried. */
  readonly refuseLost?: boolean | undefined;
  /** Whether nothing that a thread remembers of the packs is to be used. */
  readonly fresh?: boolean | undefined;
}

/** How much decoding an operation took. */
export interface DecodingCounts {
  /** Frames that were decoded, again and again where the cache was too small for them. */
  framesDecoded: number;
  /** Different frames that were needed, counted for each thread. */
  framesNeeded: number;
}

/** Opens threads for an operation, runs it, and lets go of them when it has ended. */
export async function withCrew<T>(
  context: StoreContext,
  needs: CrewNeeds,
  work: (crew: Crew, counts: DecodingCounts) => Promise<T>,
): Promise<T> {
  const { threads, layout, settings, packs, segments } = context;
  const counts = { framesDecoded: 0, framesNeeded: 0 };
  const setup = {
    packs: layout.packs,
    segments: segments.table.buffer,
    generation: segments.generation,
    cacheBytes: settings.cacheBytes,
    lostFrames: packs.lostFrames.all(),
    refuseLost: needs.refuseLost ?? false,
    fresh: needs.fresh ?? false,
    sources: needs.sources ?? [],
    cells: needs.cells ?? NO_CELLS,
    head: needs.head,
  };
  const onReport = (report: TaskReport) => {
    for (const frame of report.lost) packs.lostFrames.report(frame);
    counts.framesDecoded += report.framesDecoded;
    counts.framesNeeded += report.framesNeeded;
  };
  const crew = threads.open(setup, onReport, needs.bytes);
  try {
    return await work(crew, counts);
  } finally {
    await crew.close();
  }
}
