/** restic, as a user would run it. Its times contain the start of each process. */
import { join } from 'node:path';
import { directoryBytes } from '../series.ts';
import { isInstalled, shell, timed, type Subject } from './subject.ts';

/** Backs each directory up into one repository, and restores the last one. */
export const restic: Subject = {
  name: 'restic',
  isAvailable: () => isInstalled('restic'),
  measure: ({ series, snapshots, directory }) => {
    const repository = join(directory, 'repository');
    const variables = {
      RESTIC_PASSWORD: 'x',
      RESTIC_REPOSITORY: repository,
      RESTIC_CACHE_DIR: join(directory, 'cache'),
    };
    shell('restic init -q --repository-version 2', directory, variables);
    const storeMs = timed(() => {
      for (const name of snapshots) {
        shell('restic -q backup --host h .', join(series, name), variables);
      }
    });
    const keptBytes = directoryBytes(repository);
    shell('sync', directory);
    const restoreMs = timed(() => {
      shell('restic -q restore latest --target restored', directory, variables);
    });
    return { storeMs, restoreMs, keptBytes };
  },
};
