/** The one-liners: a copy, an archive of each dump, and archives as patches of the one before. */
import { peer } from './peer.ts';
import type { Subject } from './subject.ts';

const ZSTD = { command: 'zstd', package: 'zstd' } as const;
const ZSTD_VERSION = 'zstd --version | grep -o "v[0-9.]*"';

/** The bar for restoring. */
export const cpA: Subject = peer({
  name: 'cp -a',
  needs: [],
  version: 'cp --version | head -1 | grep -o "[0-9.]*$"',
  store: 'cp -a . "$REPOSITORY/$DUMP"',
  restore: 'cp -a "$REPOSITORY/$DUMP" "$TARGET"',
});

/** The bar for storing. */
export const tarZstd: Subject = peer({
  name: 'tar | zstd -1 -T0',
  needs: [ZSTD],
  version: ZSTD_VERSION,
  store: 'tar -cf - . | zstd -1 -q -T0 -o "$REPOSITORY/$DUMP.tar.zst"',
  restore: 'mkdir "$TARGET" && zstd -dcq "$REPOSITORY/$DUMP.tar.zst" | tar -C "$TARGET" -xf -',
});

/** The nearest in size; every dump then hangs on all before it. */
export const zstdPatch: Subject = peer({
  name: 'zstd --patch-from',
  needs: [ZSTD],
  version: ZSTD_VERSION,
  store:
    'tar -cf "$SCRATCH/$DUMP.tar" . && ' +
    'zstd -1 -q --long=27 ${PREVIOUS:+--patch-from="$SCRATCH/$PREVIOUS.tar"} ' +
    '"$SCRATCH/$DUMP.tar" -o "$REPOSITORY/$DUMP.zst" && ' +
    'rm -f ${PREVIOUS:+"$SCRATCH/$PREVIOUS.tar"}',
  restore:
    'p=; for s in $CHAIN; do ' +
    'zstd -dq --long=27 --memory=2048MB ${p:+--patch-from="$SCRATCH/r-$p"} ' +
    '"$REPOSITORY/$s.zst" -o "$SCRATCH/r-$s" || exit 1; ' +
    'rm -f ${p:+"$SCRATCH/r-$p"}; p=$s; done; ' +
    'mkdir "$TARGET" && tar -C "$TARGET" -xf "$SCRATCH/r-$p"; rm -f "$SCRATCH/r-$p"',
});
