/**
 * Real CRIU images for the tests: the small ones ship with the repository as one archive and are
 * unpacked once, the large series come from a directory named by CRIU_TIMELINE_SERIES.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { extract } from 'tar-stream';
import { decompress } from 'zstd-napi';

const fixturesDirectory = fileURLToPath(new URL('../fixtures', import.meta.url));
const unpackedDirectory = join(fixturesDirectory, 'unpacked');

/** Path of a fixture, such as `zoo-4.2/001` or `shop/shop-1.tar`. Treat it as read-only. */
export function fixture(name: string): string {
  return join(unpackedDirectory, name);
}

/** Directory of a large series (`redis`, `python`, `node`), or undefined with a loud note. */
export function series(name: string): string | undefined {
  const root = process.env['CRIU_TIMELINE_SERIES'];
  const path = root === undefined ? undefined : join(root, name);
  if (path !== undefined && existsSync(path)) return path;
  process.stderr.write(
    `SKIPPED: no ${name} series; set CRIU_TIMELINE_SERIES to a directory that holds it\n`,
  );
  return undefined;
}

/** Unpacks the archives of fixtures, unless that has been done. */
export async function unpackFixtures(): Promise<void> {
  await unpackOnce('small.tar.zst', unpackedDirectory);
  await unpackOnce('shop.tar.zst', join(unpackedDirectory, 'shop'));
}

async function unpackOnce(archive: string, directory: string): Promise<void> {
  if (existsSync(directory)) return;
  const partial = `${unpackedDirectory}.${archive}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  await unpackArchive(join(fixturesDirectory, archive), partial);
  try {
    renameSync(partial, directory);
  } catch (error) {
    // Another process was faster.
    rmSync(partial, { recursive: true });
    if (!existsSync(directory)) throw error;
  }
}

async function unpackArchive(archive: string, target: string): Promise<void> {
  const untar = extract();
  untar.on('entry', (header, stream, next) => {
    const path = join(target, header.name);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk as Buffer));
    stream.on('end', () => {
      if (header.type === 'directory') mkdirSync(path, { recursive: true });
      else mkdirSync(dirname(path), { recursive: true });
      if (header.type === 'symlink') symlinkSync(header.linkname ?? '', path);
      if (header.type === 'file') {
        writeFileSync(path, Buffer.concat(chunks));
        chmodSync(path, header.mode ?? 0o644);
      }
      next();
    });
  });
  await pipeline(Readable.from([decompress(readFileSync(archive))]), untar);
}

/** Vitest's global set-up. */
export const setup: () => Promise<void> = unpackFixtures;
