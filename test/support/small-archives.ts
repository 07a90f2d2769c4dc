/** Small archives with real images, for tests that import very often. */
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { gnuTar, rawTar } from './made-archives.ts';
import { makeDump } from './made-dumps.ts';

const OWNER = ['--owner=0', '--group=0', '--numeric-owner'];

/** An archive with a dump and some files, both of a seed, in a new directory `work`. */
export function smallArchive(work: string, seed: number): Buffer {
  mkdirSync(work);
  makeDump(join(work, 'checkpoint'), seed);
  writeFileSync(join(work, 'config.dump'), '{"name": "small"}');
  writeFileSync(join(work, 'deleted.files'), '["/gone"]');
  const files = rawTar(
    { name: 'a', content: Buffer.alloc(20_000, `a${seed}`) },
    { name: 'b', type: '2', link: 'a' },
    { name: 'c/', type: '5' },
  );
  writeFileSync(join(work, 'rootfs-diff.tar'), gzipSync(files));
  return gnuTar(work, readdirSync(work).sort(), ...OWNER);
}

/** As podman packs an image directory. */
export interface PackedImages {
  readonly member?: 'checkpoint' | 'pre-checkpoint';
  /** What the `parent` link says; undefined leaves it out. */
  readonly parent?: string;
}

/** An archive of an image directory, in a new directory `work`. */
export function packImages(work: string, images: string, packed: PackedImages = {}): Buffer {
  const { member = 'checkpoint', parent } = packed;
  mkdirSync(work);
  cpSync(images, join(work, member), { recursive: true, verbatimSymlinks: true });
  rmSync(join(work, member, 'parent'), { force: true });
  if (parent !== undefined) symlinkSync(parent, join(work, member, 'parent'));
  writeFileSync(join(work, 'config.dump'), '{"name": "chain"}');
  writeFileSync(join(work, 'spec.dump'), '{}');
  return gnuTar(work, readdirSync(work).sort(), ...OWNER);
}
