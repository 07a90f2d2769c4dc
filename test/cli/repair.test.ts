/** `repair` and `restore --partial`, as a person at a shell meets them. */
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { damageBlock } from '../support/damaged-store.ts';
import { makeDump } from '../support/made-dumps.ts';
import { packsOf } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';
import { run } from './program.ts';

const newPath = temporaryPaths();

async function makeStore(): Promise<string> {
  const directory = newPath();
  const store = await openUnmanaged(directory, { create: true });
  await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
  await store.close();
  return directory;
}

test('repair says what it would do, does it, and then has nothing to do', async () => {
  const store = await makeStore();
  const catalog = join(store, 'catalog.sqlite');
  rmSync(catalog);
  const dry = await run('repair', '--store', store, '--dry-run');
  expect(dry).toMatchObject({ status: 0, stderr: '' });
  expect(dry.stdout).toContain('catalog: the catalog is missing');
  expect(dry.stdout).toContain('would be done: the catalog is built anew');
  expect(existsSync(catalog)).toBe(false);
  const { status, stdout } = await run('repair', '--store', store, '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    dryRun: false,
    catalog: 'rebuilt',
    snapshots: { whole: 1, lost: [] },
  });
  const again = await run('repair', '--store', store);
  expect(again).toMatchObject({ status: 0, stdout: '1 snapshot whole, 0 lost or partly lost\n' });
});

test('repair names what is lost, and restore --partial gives the rest', async () => {
  const store = await makeStore();
  const [pack] = await packsOf(store);
  const [frame] = pack?.frames ?? [];
  if (pack === undefined || frame === undefined) throw new Error('the capture has pages');
  damageBlock(pack.path, frame.offset + 24, frame.blockBytes - 24);
  chmodSync(pack.path, 0o400);
  const { status, stdout } = await run('repair', '--store', store, '--level', 'packs');
  expect(status).toBe(3);
  expect(stdout).toMatch(new RegExp(`^partly lost: ${pack.snapshot}  t@1: .* of pages-1.img`, 'm'));
  const target = newPath();
  expect((await run('restore', '--store', store, 't', target)).status).toBe(3);
  const part = await run('restore', '--store', store, 't', target, '--partial');
  expect(part.status).toBe(0);
  expect(part.stdout).toMatch(/^missing: .* of pages-1.img, pagemap-7 at 0x10000$/m);
  expect(part.stdout).toMatch(/^missing: .* in all, which are zeros now$/m);
  rmSync(target, { recursive: true });
  const json = await run('restore', '--store', store, 't', target, '--partial', '--json');
  const document = JSON.parse(json.stdout) as { missing: { bytes: number; runs: unknown[] } };
  expect(document.missing.bytes).toBeGreaterThan(0);
  expect(document.missing.runs.length).toBeGreaterThan(0);
});

test('collect says that a manifest is damaged, and keeps what it might need', async () => {
  const store = await makeStore();
  const [pack] = await packsOf(store);
  damageBlock(pack?.path ?? '', pack?.manifestOffset ?? 0, 60);
  const { status, stdout } = await run('collect', '--store', store);
  expect(status).toBe(3);
  expect(stdout).toMatch(/^complete .* something is damaged$/m);
  expect(stdout).toContain(`damage: damaged block (snapshot ${pack?.snapshot}, ${pack?.path}, `);
  expect(existsSync(pack?.path ?? '')).toBe(true);
});
