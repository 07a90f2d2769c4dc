/** All subjects, in the order of the tables. */
import { areInstalled } from '../process/programs.ts';
import { cpA, tarZstd, zstdPatch } from './archives.ts';
import { borg, borgFixed, casync, restic } from './backups.ts';
import { commandLine, inProcess } from './ours.ts';
import type { Subject } from './subject.ts';

/** Ours first, then what users would pick instead. */
export const SUBJECTS: readonly Subject[] = [
  inProcess,
  commandLine,
  cpA,
  tarZstd,
  zstdPatch,
  restic,
  borg,
  borgFixed,
  casync,
];

/** Those that can run here; says loudly which cannot. */
export async function installedSubjects(): Promise<Subject[]> {
  const installed: Subject[] = [];
  for (const subject of SUBJECTS) {
    if (await areInstalled(subject.name, subject.needs)) installed.push(subject);
  }
  return installed;
}
