/** A lease: held by one at a time, in this process or another, and free when its holder dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { takeLease } from '../../src/catalog/lease.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const root = fileURLToPath(new URL('../..', import.meta.url));

function leaseFile(content = ''): string {
  const path = nextPath();
  writeFileSync(path, content);
  return path;
}

/** A process that takes a lease and keeps it until it is killed. */
async function holderOf(path: string): Promise<ChildProcess> {
  const program = `
    import { takeLease } from './src/catalog/lease.ts';
    const lease = takeLease(process.argv[1]);
    process.stdout.write(lease === undefined ? 'refused' : 'held');
    setInterval(() => lease, 1000);`;
  const options = ['--conditions=@criu-timeline/source', '--import', 'tsx', '--input-type=module'];
  const child = spawn(process.execPath, [...options, '-e', program, path], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  expect(said.toString()).toBe('held');
  return child;
}

describe('a lease', () => {
  it('is held by one at a time, and can be taken again', () => {
    const path = leaseFile();
    const lease = takeLease(path);
    expect(lease?.path).toBe(path);
    expect(takeLease(path)).toBeUndefined();
    const other = takeLease(leaseFile());
    expect(other).toBeDefined();
    other?.release();
    expect(takeLease(path)).toBeUndefined();
    lease?.release();
    lease?.release();
    const again = takeLease(path);
    expect(again).toBeDefined();
    again?.release();
  });

  it('writes nothing at all, so that no full disk hinders it, nor a kill those after', () => {
    const path = leaseFile();
    const lease = takeLease(path);
    expect(statSync(path).size).toBe(0);
    expect(readdirSync(dirname(path)).filter((name) => name.includes('journal'))).toEqual([]);
    lease?.release();
  });

  it('is held against other processes, and dies with its holder', async () => {
    const path = leaseFile();
    const child = await holderOf(path);
    const start = performance.now();
    expect(takeLease(path)).toBeUndefined();
    // It says so at once instead of waiting.
    expect(performance.now() - start).toBeLessThan(2000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lease = takeLease(path);
    expect(lease).toBeDefined();
    lease?.release();
  });

  it('cannot be taken where its file is gone, and makes none', () => {
    const path = leaseFile();
    unlinkSync(path);
    expect(() => takeLease(path)).toThrow(expect.objectContaining({ code: 'STORAGE', file: path }));
    expect(() => unlinkSync(path)).toThrow(/ENOENT/);
  });

  it('cannot be taken on a file that is none', () => {
    const path = leaseFile('this is no lease, and no database of SQLite either'.repeat(99));
    const error = expect.objectContaining({ code: 'STORAGE', file: path });
    expect(() => takeLease(path)).toThrow(error);
  });
});
