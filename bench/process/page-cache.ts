/** Empties the page cache, for rows that begin with nothing of the files in memory. */
import { existsSync, writeFileSync } from 'node:fs';
import { skipLoudly } from './programs.ts';
import { outputOf, runShell } from './shell.ts';

/** Makes files cold: drops what memory holds of everything below these directories. */
export type DropCache = (directories: readonly string[]) => Promise<void>;

const CONTROL = '/proc/sys/vm/drop_caches';
/** dd with nocache and nothing to copy is posix_fadvise(POSIX_FADV_DONTNEED) on the whole file. */
const FORGET = 'dd of={} oflag=nocache conv=notrunc,fdatasync count=0 status=none';

/** The way that works here; undefined, with a loud note, when none does. */
export async function findDropCache(): Promise<DropCache | undefined> {
  if (dropEverything()) {
    return async () => {
      await runShell({ line: 'sync', cwd: '/' });
      dropEverything();
    };
  }
  if ((await outputOf('command -v dd find')) === undefined) {
    skipLoudly(`cold page cache: ${CONTROL} cannot be written, and dd or find are not there`);
    return undefined;
  }
  return async (directories) => {
    for (const cwd of directories.filter((path) => existsSync(path))) {
      await runShell({ line: `find . -type f -exec ${FORGET} \\;`, cwd });
    }
  };
}

function dropEverything(): boolean {
  try {
    writeFileSync(CONTROL, '3');
    return true;
  } catch {
    return false;
  }
}
