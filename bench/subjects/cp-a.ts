/** `cp -a`: the bar for restoring. */
import { join } from 'node:path';
import { directoryBytes } from '../series.ts';
import { shell, timed, type Subject } from './subject.ts';

/** Copies each directory, and copies the last one back. */
export const cpA: Subject = {
  name: 'cp -a',
  isAvailable: () => true,
  measure: ({ series, snapshots, directory }) => {
    const last = snapshots.at(-1) as string;
    const storeMs = timed(() => {
      for (const name of snapshots) shell(`cp -a ${join(series, name)} ${name}`, directory);
    });
    const keptBytes = directoryBytes(directory);
    shell('sync', directory);
    const restoreMs = timed(() => shell(`cp -a ${last} restored`, directory));
    return { storeMs, restoreMs, keptBytes };
  },
};
