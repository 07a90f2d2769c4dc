/** `tar | zstd -1 -T0` for each directory: the bar for storing. */
import { join } from 'node:path';
import { directoryBytes } from '../series.ts';
import { isInstalled, shell, timed, type Subject } from './subject.ts';

/** Archives each directory by itself, and unpacks the last one. */
export const tarZstd: Subject = {
  name: 'tar | zstd -1 -T0',
  isAvailable: () => isInstalled('zstd'),
  measure: ({ series, snapshots, directory }) => {
    const last = snapshots.at(-1) as string;
    const storeMs = timed(() => {
      for (const name of snapshots) {
        const command = `tar -C ${join(series, name)} -cf - . | zstd -1 -q -T0 -o ${name}.tar.zst`;
        shell(command, directory);
      }
    });
    const keptBytes = directoryBytes(directory);
    shell('sync', directory);
    const restoreMs = timed(() => {
      shell(`mkdir restored && zstd -dcq ${last}.tar.zst | tar -C restored -xf -`, directory);
    });
    return { storeMs, restoreMs, keptBytes };
  },
};
