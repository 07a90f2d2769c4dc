import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  COMMON_MAGIC,
  imageFamily,
  isRawName,
  recogniseImage,
  SERVICE_MAGIC,
  TYPE_MAGICS,
} from '../../src/criu/index.ts';
import { fixture } from '../support/fixtures.ts';

/** Numbers as little-endian bytes. */
function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

describe('recogniseImage', () => {
  it('tells every image of a real dump by its first bytes and its name', () => {
    const kinds = new Map<string, string>();
    for (const name of readdirSync(fixture('zoo-4.2/001'))) {
      const kind = recogniseImage(readFileSync(join(fixture('zoo-4.2/001'), name)), name);
      kinds.set(imageFamily(name), `${kind.format} ${kind.type ?? '-'}`);
    }
    expect(Object.fromEntries(kinds)).toEqual({
      core: 'common CORE',
      fdinfo: 'common FDINFO',
      files: 'common FILES',
      fs: 'common FS',
      'ghost-file': 'common GHOST_FILE',
      ids: 'common IDS',
      inventory: 'inventory INVENTORY',
      memfd: 'common MEMFD_INODE',
      mm: 'common MM',
      pagemap: 'common PAGEMAP',
      'pagemap-shmem': 'common PAGEMAP',
      pages: 'raw -',
      'pipes-data': 'common PIPES_DATA',
      pstree: 'common PSTREE',
      'remap-fpath': 'common REMAP_FPATH',
      seccomp: 'common SECCOMP',
      'sk-queues': 'common SK_QUEUES',
      'stats-dump': 'service STATS',
      timens: 'common TIMENS',
    });
  });

  it('tells a single type magic in front of anything but the inventory as the old format', () => {
    expect(recogniseImage(words(TYPE_MAGICS.PSTREE, 5), 'pstree.img').format).toBe('legacy');
    expect(recogniseImage(words(TYPE_MAGICS.INVENTORY, 5)).format).toBe('inventory');
  });

  it('knows that raw images may start with a magic', () => {
    expect(recogniseImage(words(TYPE_MAGICS.PSTREE, 5), 'pages-1.img').format).toBe('raw');
    expect(recogniseImage(words(COMMON_MAGIC, TYPE_MAGICS.MM), 'route-9.img').format).toBe('raw');
  });

  it('keeps the format of an image whose type it does not know', () => {
    const kind = recogniseImage(words(COMMON_MAGIC, 0x12345678), 'new-thing.img');
    expect(kind).toEqual({ format: 'common', type: undefined, headerBytes: 8 });
    expect(recogniseImage(words(SERVICE_MAGIC, TYPE_MAGICS.IRMAP_CACHE)).type).toBe('IRMAP_CACHE');
  });

  it('takes files that are too short for a header as raw', () => {
    expect(recogniseImage(new Uint8Array(0)).format).toBe('raw');
    expect(recogniseImage(new Uint8Array(3)).format).toBe('raw');
    expect(recogniseImage(words(COMMON_MAGIC)).format).toBe('raw');
  });
});

describe('isRawName', () => {
  it('sees through numbers and suffixes', () => {
    for (const name of ['pages-12.img', 'tmpfs-dev-52.tar.gz.img', 'netns-ct-9.img']) {
      expect(isRawName(name), name).toBe(true);
    }
    for (const name of ['pagemap-12.img', 'core-1.img', 'binfmt-misc.img', 'ghost-file-1f.img']) {
      expect(isRawName(name), name).toBe(false);
    }
  });
});
