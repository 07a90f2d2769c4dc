/** Runs a task in the thread that has the session: the one list of what each kind of task does. */
import { openImageDirectory } from '../images/index.ts';
import { diff } from './diff.ts';
import { encode } from './encode.ts';
import { read } from './read.ts';
import { scan } from './scan.ts';
import type { Session } from './session.ts';
import type { TaskKind, Tasks } from './tasks.ts';

/** Does what is asked. */
export function runTask<Kind extends TaskKind>(
  session: Session,
  kind: Kind,
  request: Tasks[Kind]['request'],
): Tasks[Kind]['result'] {
  session.begin();
  return TASKS[kind](session, request);
}

const TASKS: {
  readonly [Kind in TaskKind]: (
    session: Session,
    request: Tasks[Kind]['request'],
  ) => Tasks[Kind]['result'];
} = {
  scan,
  diff,
  encode,
  read,
  openImages: ({ files }, { path, parent }) => openImageDirectory(path, { files, parent }),
  closeSources: (session): undefined => {
    session.closeContents();
  },
};
