/** Runs a task in the thread that has the session: the one list of what each kind of task does. */
import type { ImageDirectory } from '../images/index.ts';
import type { LookoutMemory } from '../upper/lookout.ts';
import { checkFrames } from './check-frames.ts';
import { diff } from './diff.ts';
import { encode } from './encode.ts';
import { findLost } from './find-lost.ts';
import { read } from './read.ts';
import { scan } from './scan.ts';
import type { Session } from './session.ts';
import type { OpenImagesRequest, PlanFilesRequest, StepKind, TaskKind, Tasks } from './tasks.ts';

/** Does what is asked. */
export async function runTask<Kind extends TaskKind>(
  session: Session,
  kind: Kind,
  request: Tasks[Kind]['request'],
): Promise<Tasks[Kind]['result']> {
  if (kind === 'openImages') return await openImages(session, request as OpenImagesRequest);
  if (kind === 'planFiles') {
    session.begin();
    // Only here: most captures have no files, and most threads do not plan.
    const { planFiles } = await import('./plan-files.ts');
    return planFiles(session, request as PlanFilesRequest);
  }
  if (kind === 'lookOut') {
    const { serveLookout } = await import('../upper/lookout.ts');
    serveLookout(session.files, request as LookoutMemory);
    return undefined;
  }
  return runStep(session, kind, request as Tasks[StepKind]['request']);
}

/** Does a step of a slice or frame, in one go. */
export function runStep<Kind extends StepKind>(
  session: Session,
  kind: Kind,
  request: Tasks[Kind]['request'],
): Tasks[Kind]['result'] {
  session.begin();
  return STEPS[kind](session, request);
}

const STEPS: {
  readonly [Kind in StepKind]: (
    session: Session,
    request: Tasks[Kind]['request'],
  ) => Tasks[Kind]['result'];
} = {
  scan,
  diff,
  encode,
  read,
  checkFrames,
  findLost,
  closeTargets: (session): undefined => {
    session.closeTargets();
  },
  closeSources: (session): undefined => {
    session.closeContents();
  },
};

/** CRIU's messages are loaded here only: 50 ms that every worker would need to start. */
async function openImages(
  { files }: Session,
  { path, parent }: OpenImagesRequest,
): Promise<ImageDirectory> {
  const { openImageDirectory } = await import('../images/directory.ts');
  return openImageDirectory(path, { files, parent });
}
