/**
 * What is compared on files: this library in a new process for each step, and what users would
 * pick instead. They are subjects as in `peers`; a "dump" is an upper directory here, or the
 * directory that an archive was unpacked to, beside which lies the archive's tar: `../$DUMP.tar`.
 */
import { areInstalled } from '../process/programs.ts';
import { outputOf } from '../process/shell.ts';
import { childCommand } from '../measure/child.ts';
import { tarZstd } from '../subjects/archives.ts';
import { borg, restic } from '../subjects/backups.ts';
import { inProcess } from '../subjects/ours.ts';
import { peer } from '../subjects/peer.ts';
import type { Dump, Subject } from '../subjects/subject.ts';

const TIMELINE = 'bench';
const XATTRS = `--xattrs --xattrs-include='*'`;
const COMPRESSED = '"$REPOSITORY/$DUMP.zst"';

/** Ours: what is told of its process is on its standard output. */
const OURS = {
  needs: [],
  version: inProcess.version,
  isInProcess: true,
  cacheName: 'cache',
  prepare: () => [],
} as const;

/** Files of a container with these images, which stay the same. */
function capturing(images: string): Subject {
  return {
    ...OURS,
    name: 'criu-timeline',
    store: ({ repository }, dumps) => [
      childCommand({
        store: repository,
        options: { create: true },
        captures: dumps.map(({ path }) => ({ timeline: TIMELINE, images, files: path })),
      }),
    ],
    restore: ({ repository }, _dumps, index, target) => {
      const snapshot = `${TIMELINE}@${index + 1}`;
      const restores = [{ snapshot, target: imagesBeside(target), files: target }];
      return [childCommand({ store: repository, restores })];
    },
  };
}

/** Where our restores put the images: beside the files. */
export function imagesBeside(target: string): string {
  return `${target}.images`;
}

const tarXattrs: Subject = peer({
  name: 'tar --xattrs | zstd -1 -T0',
  needs: tarZstd.needs,
  version: 'zstd --version | grep -o "v[0-9.]*"',
  store: `tar ${XATTRS} -cf - . | zstd -1 -q -T0 -o ${COMPRESSED}`,
  restore: `mkdir "$TARGET" && zstd -dcq ${COMPRESSED} | tar ${XATTRS} -C "$TARGET" -xpf -`,
});

/** Archives: imported, and exported with this compression. */
function importing(
  name: string,
  compression: 'none' | 'zstd',
  archiveOf: (dump: Dump) => string,
): Subject {
  return {
    ...OURS,
    name,
    store: ({ repository }, dumps) => [
      childCommand({
        store: repository,
        options: { create: true },
        imports: dumps.map((dump) => ({ timeline: TIMELINE, archive: archiveOf(dump) })),
      }),
    ],
    restore: ({ repository }, _dumps, index, target) => {
      const exports = [{ snapshot: `${TIMELINE}@${index + 1}`, target, compression }];
      return [childCommand({ store: repository, exports })];
    },
  };
}

const zstdOfTar: Subject = peer({
  name: 'zstd -1 -T0 of the tar',
  needs: tarZstd.needs,
  version: 'zstd --version | grep -o "v[0-9.]*"',
  store: `zstd -1 -q -T0 "../$DUMP.tar" -o ${COMPRESSED}`,
  restore: `zstd -dq ${COMPRESSED} -o "$TARGET"`,
});

/** Ours first; what is not installed is left out, loudly. */
export async function directorySubjects(images: string): Promise<Subject[]> {
  return await installed([capturing(images), tarXattrs, restic, borg]);
}

/** The same for archives. */
export async function archiveSubjects(archiveOf: (dump: Dump) => string): Promise<Subject[]> {
  return await installed([
    importing('criu-timeline', 'none', archiveOf),
    importing('criu-timeline, export in zstd', 'zstd', archiveOf),
    zstdOfTar,
    restic,
  ]);
}

async function installed(subjects: readonly Subject[]): Promise<Subject[]> {
  const found: Subject[] = [];
  for (const subject of subjects) {
    if (await areInstalled(subject.name, subject.needs)) found.push(subject);
  }
  return found;
}

/** Versions of the peers, by their names. */
export async function versionsOfSubjects(): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const { name, version } of [tarXattrs, restic, borg]) {
    versions[name] = ((await outputOf(version)) ?? 'not installed').trim();
  }
  return versions;
}
