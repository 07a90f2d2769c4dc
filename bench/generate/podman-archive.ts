/**
 * Archives as `podman container checkpoint -e` writes them, not compressed: a made-up dump, and the
 * container's files as a tar in the tar. GNU tar packs both.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendLog, changeSmallFiles, writeSmallFiles, type SmallFiles } from './files.ts';
import { generatedSource } from './series.ts';
import type { Workload } from './workloads.ts';

/** What the archives are of. */
export interface MadeContainer {
  readonly workload: Workload;
  readonly files: SmallFiles;
  readonly logBytes: number;
}

const CHANGED_FILES = 10;
const LOG_GROWTH = 0.01;
const TIME = 1_790_000_000;
/** The same bytes wherever and whenever they are made. */
const TAR = [
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--sort=name',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--mode=u+rw,go=rX',
];

/** Writes `count` archives of one container, with changes in between: 001.tar, 002.tar, … */
export async function writePodmanArchives(
  directory: string,
  { workload, files, logBytes }: MadeContainer,
  count: number,
): Promise<void> {
  const [bundle, upper] = [join(directory, 'bundle'), join(directory, 'upper')];
  const source = generatedSource(workload);
  mkdirSync(bundle, { recursive: true });
  writeSmallFiles(upper, files);
  mkdirSync(join(upper, 'var'));
  const log = join(upper, 'var', 'server.log');
  let line = appendLog(log, 0, logBytes);
  for (let number = 1; number <= count; number++) {
    if (number > 1) {
      changeSmallFiles(upper, files, { count: CHANGED_FILES, version: number });
      line = appendLog(log, line, logBytes * LOG_GROWTH);
    }
    await source.dump(join(bundle, 'checkpoint'));
    pack(upper, join(bundle, 'rootfs-diff.tar'), TIME);
    writeSmallMembers(bundle);
    const archive = join(directory, `${String(number).padStart(3, '0')}.tar`);
    // Every dump is new; of the container's files, only those that changed would be.
    pack(bundle, archive, TIME + number);
    rmSync(join(bundle, 'checkpoint'), { recursive: true });
  }
  await source.close();
  for (const path of [bundle, upper]) rmSync(path, { recursive: true });
}

function writeSmallMembers(bundle: string): void {
  const members = {
    'config.dump': '{"name":"bench"}',
    'spec.dump': '{}',
    'network.status': 'null',
    'deleted.files': '["/etc/motd"]',
  };
  for (const [name, content] of Object.entries(members)) writeFileSync(join(bundle, name), content);
}

function pack(directory: string, target: string, time: number): void {
  const names = readdirSync(directory).sort();
  const parameters = ['-C', directory, ...TAR, `--mtime=@${time}`, '-cf', target, '--', ...names];
  execFileSync('tar', parameters);
}
