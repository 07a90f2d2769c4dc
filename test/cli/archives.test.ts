/** Archives and the container's files, as a person at a shell meets them. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fixture } from '../support/fixtures.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { documentOf, expectFailure, linesOf, run, startCommand } from './program.ts';

const newPath = temporaryPaths();
const ARCHIVE = fixture('shop/shop-1.tar');

describe('on a store of an imported archive, the program', () => {
  const store = newPath();
  let imported: Record<string, unknown>;

  beforeAll(async () => {
    imported = await documentOf('import', '--store', store, 'shop', ARCHIVE, '--label', 'a=b');
  });

  test('says what it imported, with the labels of the archive and of the caller', () => {
    expect(imported).toMatchObject({ timeline: 'shop', sequence: 1 });
    expect(imported['labels']).toMatchObject({
      a: 'b',
      'org.criu.checkpoint.container.name': 'shop',
      'org.criu.checkpoint.engine.name': 'podman',
    });
  });

  test('exports the very archive to a file, and will not replace one', async () => {
    const archive = newPath();
    const export_ = ['export', '--store', store, 'shop', archive, '--compression', 'none'];
    const [line] = await linesOf(...export_);
    expect(line).toContain(`shop@1  exported to ${archive}`);
    expect(readFileSync(archive).equals(readFileSync(ARCHIVE))).toBe(true);
    await expectFailure({ status: 1, message: /something at this path already/ }, ...export_);
  });

  test('exports to standard output what it imports from standard input', async () => {
    const archive = newPath();
    const out = openSync(archive, 'w');
    const exported = startCommand(['export', '--store', store, 'shop', '-'], out);
    expect(await exported.ended).toMatchObject({ status: 0, stderr: '' });
    closeSync(out);
    const again = newPath();
    const input = openSync(archive, 'r');
    const args = ['import', '--store', again, 'shop', '-', '--json'];
    const { status, stdout, stderr } = await startCommand(args, 'pipe', input).ended;
    closeSync(input);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const logical = (document: Record<string, unknown>) =>
      (document['sizes'] as { logical: unknown }).logical;
    expect(logical(JSON.parse(stdout) as Record<string, unknown>)).toEqual(logical(imported));
  });

  test('ends quietly when whoever reads the export has seen enough', async () => {
    const export_ = ['export', '--store', store, 'shop', '-', '--compression', 'none'];
    const { child, ended } = startCommand(export_);
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toMatchObject({ status: 0, stderr: '' });
  });

  test('refuses what is no archive, and leaves no snapshot', async () => {
    const archive = newPath();
    writeFileSync(archive, 'not an archive at all, but long enough to be looked at. '.repeat(99));
    const broken = ['import', '--store', store, 'broken', archive];
    await expectFailure({ status: 1, message: new RegExp(archive) }, ...broken);
    await expectFailure({ status: 1, message: /broken/ }, 'show', '--store', store, 'broken');
  });

  test('refuses a compression that there is not', async () => {
    const { status, stderr } = await run(
      'export',
      '--store',
      store,
      'shop',
      'x',
      '--compression=a',
    );
    expect(status).toBe(2);
    expect(stderr).toContain('zstd');
  });
});

describe("of a container's files, the program", () => {
  const store = newPath();
  const upper = newPath();

  beforeAll(async () => {
    mkdirSync(join(upper, 'etc'), { recursive: true });
    writeFileSync(join(upper, 'etc/hosts'), 'of the host');
    writeFileSync(join(upper, 'etc/motd'), 'of the container');
    writeFileSync(join(upper, 'etc/extra'), 'of the host as well');
    const files = ['--files', upper, '--host-file', '/etc/extra'];
    await linesOf('capture', '--store', store, 'web', fixture('zoo-4.2/001'), ...files);
  });

  test('shows how many there are, and which were left out', async () => {
    const text = (await linesOf('show', '--store', store, 'web')).join('\n');
    expect(text).toMatch(/^files +1 file, 2 directories, 0 others: 16 B$/m);
    expect(text).toMatch(/^host's files +\/etc\/extra\n +\/etc\/hosts$/m);
  });

  test('restores them, and says which files of the host are missing', async () => {
    const [images, files, hosts] = [newPath(), newPath(), newPath()];
    writeFileSync(hosts, 'of another host');
    const where = [images, '--files', files, '--host-file', `/etc/hosts=${hosts}`];
    const lines = await linesOf('restore', '--store', store, 'web', ...where);
    expect(lines[1]).toBe('belongs to the host, and is missing: /etc/extra');
    expect(readFileSync(join(files, 'etc/hosts'), 'utf8')).toBe('of another host');
    expect(readFileSync(join(files, 'etc/motd'), 'utf8')).toBe('of the container');
    expect(existsSync(join(files, 'etc/extra'))).toBe(false);
  });

  test('tells the same as one document', async () => {
    const [images, files] = [newPath(), newPath()];
    const on = ['restore', '--store', store, 'web', images, '--files', files];
    const document = await documentOf(...on);
    expect(document['files']).toEqual({
      bytes: 16,
      skipped: [],
      skippedCount: 0,
      missingHostFiles: ['/etc/extra', '/etc/hosts'],
    });
  });

  test('refuses a host file that is no pair, or is there twice', async () => {
    const on = ['restore', '--store', store, 'web', newPath(), '--files', newPath()];
    const bad = { status: 2, message: /A host file is PATH=FILE\./ };
    await expectFailure(bad, ...on, '--host-file', '/etc/hosts');
    const twice = ['--host-file', '/a=b', '--host-file', '/a=c'];
    await expectFailure({ status: 2, message: /two host files '\/a'/ }, ...on, ...twice);
  });

  test('refuses a host file that is no absolute path', async () => {
    const on = ['capture', '--store', store, 'web', fixture('zoo-4.2/001'), '--files', upper];
    const bad = { status: 2, message: /absolute path/ };
    await expectFailure(bad, ...on, '--host-file', 'etc/hosts');
  });
});
