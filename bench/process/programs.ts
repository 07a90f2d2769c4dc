/** Programs that may be missing: what is skipped then, and how to install them. */
import { outputOf } from './shell.ts';

/** A program, and the Debian package it is in. */
export interface Program {
  readonly command: string;
  readonly package: string;
}

const FRAME = '*'.repeat(78);

/** The programs among these that are not installed. */
export async function missingOf(programs: readonly Program[]): Promise<Program[]> {
  const missing: Program[] = [];
  for (const program of programs) {
    const path = await outputOf(`command -v ${program.command}`);
    if (path === undefined) missing.push(program);
  }
  return missing;
}

/** Whether all are installed; says loudly what is skipped otherwise, and how to get them. */
export async function areInstalled(what: string, programs: readonly Program[]): Promise<boolean> {
  const missing = await missingOf(programs);
  if (missing.length === 0) return true;
  const packages = missing.map((program) => program.package).join(' ');
  skipLoudly(`${what}: not installed; try: apt-get install ${packages}`);
  return false;
}

/** Says what is not measured in a way that nobody overlooks. */
export function skipLoudly(text: string): void {
  console.log(`${FRAME}\nSKIPPED: ${text}\n${FRAME}`);
}
