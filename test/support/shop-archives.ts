/**
 * The archives of the container `shop`, real exports of podman, and what other engines would have
 * made of the same checkpoint: their layouts follow from what is in their exports.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fixture } from './fixtures.ts';
import { gnuTar } from './made-archives.ts';

const XATTRS = ['--xattrs', '--xattrs-include=*'];

/** The path of an export: 1, 2 or 3. */
export function shop(number: number): string {
  return fixture(`shop/shop-${number}.tar`);
}

/** Unpacks a tar into a new directory, whose path is returned. */
export function extract(archive: string | Buffer, directory: string): string {
  mkdirSync(directory, { mode: 0o755 });
  const from = typeof archive === 'string' ? archive : '-';
  const options = [...XATTRS, '--same-owner', '--numeric-owner', '-P', '-C', directory];
  const input = typeof archive === 'string' ? {} : { input: archive };
  execFileSync('tar', [...options, '-xpf', from], input);
  return directory;
}

/** The upper directory of the container. */
export function shopUpper(directory: string): string {
  return extract(fixture('shop/shop-upper.tar'), directory);
}

/** One file of the container's, as it was at an export. */
export function shopFile(number: number, path: string): Buffer {
  const limit = { maxBuffer: 1 << 28 };
  const diff = execFileSync('tar', ['-xOf', shop(number), 'rootfs-diff.tar'], limit);
  return execFileSync('tar', ['-xOf', '-', path], { ...limit, input: diff });
}

/**
 * What an overlay's upper directory would hold with the files of an export: unpacked by GNU tar,
 * whiteouts put in by hand. Directories that the tar only implies are of 1970.
 */
export function shopFiles(number: number, directory: string): string {
  const bundle = extract(shop(number), `${directory}.bundle`);
  extract(join(bundle, 'rootfs-diff.tar'), directory);
  mkdirSync(join(directory, 'srv/keep'));
  execFileSync('mknod', ['-m', '0', join(directory, 'srv/keep/deleted.txt'), 'c', '0', '0']);
  setXattr(join(directory, 'srv/drop'), 'trusted.overlay.opaque', 'y');
  setTime(join(directory, 'srv/keep/deleted.txt'));
  for (const name of ['srv/keep', 'srv/drop', 'srv', 'data', '.']) setTime(join(directory, name));
  return directory;
}

function setTime(path: string): void {
  utimesSync(path, 0, 0);
}

/** Sets an extended attribute, which Node.js cannot. */
export function setXattr(path: string, name: string, value: string): void {
  const program = 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())';
  execFileSync('python3', ['-c', program, path, name, value]);
}

const ANNOTATIONS = {
  'io.kubernetes.container.name': 'counter',
  'io.kubernetes.pod.name': 'shop-0',
  'io.kubernetes.pod.namespace': 'trade',
};

function addAnnotations(bundle: string): void {
  const path = join(bundle, 'spec.dump');
  const spec = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...spec, annotations: ANNOTATIONS }));
}

/** As CRI-O writes it: a plain tar of everything, with the files that it needs of its own. */
export function crioShop(directory: string, number = 1): Buffer {
  const bundle = extract(shop(number), directory);
  addAnnotations(bundle);
  for (const name of ['network.status', 'ctr.log', 'artifacts', 'devshm-checkpoint.tar']) {
    rmSync(join(bundle, name), { recursive: true });
  }
  writeFileSync(join(bundle, 'bind.mounts'), '[{"source":"/run/a","destination":"/a"}]');
  writeFileSync(join(bundle, 'io.kubernetes.cri-o.LogPath'), 'a log of the container\n');
  writeFileSync(join(bundle, 'dump.log'), '(00.000) Dumping finished\n');
  return gnuTar(bundle, ['.'], '--numeric-owner');
}

/** As containerd writes it: files as a layer in gzip, whiteouts as names in it. */
export function containerdShop(directory: string, number = 1): Buffer {
  const bundle = extract(shop(number), directory);
  addAnnotations(bundle);
  const podmans = ['network.status', 'ctr.log', 'artifacts', 'devshm-checkpoint.tar'];
  for (const name of [...podmans, 'deleted.files']) rmSync(join(bundle, name), { recursive: true });
  writeFileSync(join(bundle, 'status'), '{"Pid":1}');
  cpSync(join(bundle, 'status'), join(bundle, 'status.dump'));
  writeFileSync(join(bundle, 'container.log'), 'a log\n');
  writeFileSync(join(bundle, 'rootfs-diff.tar'), gzipSync(layerOf(`${directory}.upper`)));
  return gnuTar(bundle, readdirSync(bundle), '--numeric-owner');
}

function layerOf(directory: string): Buffer {
  const upper = shopUpper(directory);
  rmSync(join(upper, 'srv/keep/deleted.txt'));
  writeFileSync(join(upper, 'srv/keep/.wh.deleted.txt'), '');
  writeFileSync(join(upper, 'srv/drop/.wh..wh..opq'), '');
  return gnuTar(upper, readdirSync(upper), '--numeric-owner', '--format=posix');
}
