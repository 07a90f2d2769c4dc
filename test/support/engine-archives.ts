/** Archives as container engines write them, made by GNU tar, small enough for tests. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { gnuTar } from './made-archives.ts';

const OWNER = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u+rw'];

/** Writes files and the directories that they are in. */
function writeTree(root: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(files)) {
    const target = `${root}/${path}`;
    mkdirSync(target.slice(0, target.lastIndexOf('/')), { recursive: true, mode: 0o755 });
    writeFileSync(target, content, { mode: 0o644 });
  }
}

const IMAGES = {
  'checkpoint/inventory.img': 'inventory',
  'checkpoint/pages-1.img': 'p'.repeat(10_000),
};

/** As of podman: a plain tar of new files, and a list of deleted ones. */
export function makePodman(root: string, compression: 'none' | 'gzip' | 'zstd' = 'none'): Buffer {
  const upper = `${root}/upper`;
  writeTree(upper, { 'data/z': 'hard', 'srv/drop/new ünïcode\n': 'new' });
  chmodSync(`${upper}/data/z`, 0o4755);
  linkSync(`${upper}/data/z`, `${upper}/data/a`);
  symlinkSync('../../etc/passwd', `${upper}/data/link`);
  execFileSync('mkfifo', ['-m', '644', `${upper}/data/fifo`]);
  const names = ['data/z', 'data/a', 'data/link', 'data/fifo', 'srv/drop/new ünïcode\n'];
  const bundle = `${root}/bundle`;
  writeTree(bundle, {
    ...IMAGES,
    'config.dump': '{"name": "shop"}',
    'spec.dump': '{}',
    'network.status': 'null',
    'rootfs-diff.tar': gnuTar(upper, names, ...OWNER),
    'deleted.files': '["/srv/drop", "/srv/gone"]',
    'volumes/v.tar': 'volume',
  });
  mkdirSync(`${bundle}/artifacts`);
  const archive = gnuTar(bundle, readdirSync(bundle), ...OWNER, '--format=posix');
  if (compression === 'none') return archive;
  if (compression === 'gzip') return gzipSync(archive);
  return execFileSync('zstd', ['-qc'], { input: archive });
}

/** As of CRI-O. */
export function makeCrio(root: string): Buffer {
  const annotations = {
    'io.kubernetes.pod.name': 'web-0',
    'io.kubernetes.container.name': 'server',
  };
  writeTree(root, {
    ...IMAGES,
    'config.dump': '{"name": "k8s_server_web-0"}',
    'spec.dump': JSON.stringify({ annotations }),
    'bind.mounts': '[]',
    'io.kubernetes.cri-o.LogPath': 'log',
    'dump.log': 'log',
  });
  return gnuTar(root, ['.'], ...OWNER);
}

/** As of containerd: the new files are a layer, in gzip, with whiteouts. */
export function makeContainerd(root: string): Buffer {
  const upper = `${root}/upper`;
  writeTree(upper, { 'etc/.wh.gone': '', 'etc/.wh..wh..opq': '', 'etc/hosts': '127.0.0.1' });
  const bundle = `${root}/bundle`;
  writeTree(bundle, {
    ...IMAGES,
    'config.dump': '{}',
    'spec.dump': '{}',
    status: '{}',
    'container.log': 'log',
    'rootfs-diff.tar': gzipSync(gnuTar(upper, ['etc'], ...OWNER)),
  });
  cpSync(`${bundle}/status`, `${bundle}/status.dump`);
  return gnuTar(bundle, readdirSync(bundle), ...OWNER);
}
