/** Programs for backups, as their users run them; without encryption where that is a choice. */
import { peer } from './peer.ts';
import type { Place, Subject } from './subject.ts';

/** Chunks by content, zstd, encrypted always. */
export const restic: Subject = peer({
  name: 'restic',
  needs: [{ command: 'restic', package: 'restic' }],
  version: 'restic version | cut -d" " -f2',
  prepare: 'restic init -q --repository-version 2',
  store: 'restic -q backup --host bench --tag "$DUMP" .',
  restore: 'restic -q restore latest --tag "$DUMP" --target "$TARGET"',
  variables: ({ repository, scratch }) => ({
    RESTIC_PASSWORD: 'bench',
    RESTIC_REPOSITORY: repository,
    RESTIC_CACHE_DIR: `${scratch}/cache`,
  }),
});

const BORG = {
  needs: [{ command: 'borg', package: 'borgbackup' }],
  version: 'borg --version | cut -d" " -f2',
  prepare: 'borg init -e none "$REPOSITORY"',
  restore: 'mkdir "$TARGET" && cd "$TARGET" && borg extract "$REPOSITORY::$DUMP"',
  variables: ({ scratch }: Place) => ({
    BORG_BASE_DIR: `${scratch}/base`,
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  }),
} as const;

/** Chunks by content. */
export const borg: Subject = peer({
  ...BORG,
  name: 'borg',
  store: 'borg create -C zstd,1 "$REPOSITORY::$DUMP" .',
});

/** Chunks of one page. */
export const borgFixed: Subject = peer({
  ...BORG,
  name: 'borg, fixed 4 KiB',
  store: 'borg create --chunker-params fixed,4096 -C zstd,1 "$REPOSITORY::$DUMP" .',
});

/** Chunks by content, one file each. */
export const casync: Subject = peer({
  name: 'casync',
  needs: [{ command: 'casync', package: 'casync' }],
  version: 'casync --version | head -1 | cut -d" " -f2',
  store: 'casync make --store="$REPOSITORY/store.castr" "$REPOSITORY/$DUMP.caidx" . > /dev/null',
  restore: 'casync extract --store="$REPOSITORY/store.castr" "$REPOSITORY/$DUMP.caidx" "$TARGET"',
});
