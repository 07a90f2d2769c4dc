/** On what, and with what, something was measured. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { outputOf } from '../process/shell.ts';

/** The machine. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly architecture: string;
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** The machine that this runs on. */
export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    kernel: os.release(),
    architecture: process.arch,
  };
}

/** Versions of this library and of what it stands on. */
export async function describeVersions(): Promise<Record<string, string>> {
  const git = `git -C "${REPOSITORY}"`;
  const commit = await outputOf(`${git} rev-parse --short HEAD`);
  const changes = await outputOf(`${git} status --porcelain --untracked-files=no`);
  return {
    'criu-timeline': versionIn(`${REPOSITORY}/package.json`),
    commit: `${(commit ?? 'unknown').trim()}${(changes ?? '').trim() === '' ? '' : ', changed'}`,
    node: process.version,
    sqlite: sqliteVersion(),
    zstd: zstdVersion(),
  };
}

function sqliteVersion(): string {
  const database = new Database(':memory:');
  try {
    return String(database.prepare('SELECT sqlite_version()').pluck().get());
  } finally {
    database.close();
  }
}

/** The one that the library uses: Node's own where it has one. */
function zstdVersion(): string {
  const { zstd } = process.versions as Record<string, string | undefined>;
  if (zstd !== undefined) return `${zstd} (node:zlib)`;
  const binding = createRequire(import.meta.url).resolve('zstd-napi');
  const directory = binding.slice(0, binding.lastIndexOf('zstd-napi') + 'zstd-napi'.length);
  return `zstd-napi ${versionIn(`${directory}/package.json`)}`;
}

function versionIn(path: string): string {
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}
