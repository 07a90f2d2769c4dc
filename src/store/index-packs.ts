/**
 * Keeps the page index in step with the packs of the catalog: opens the runs of packs that have
 * been committed since the last time, and builds those that are missing or damaged.
 */
import { fromHex } from '../bytes/hex.ts';
import { isDamage, storageError } from '../errors.ts';
import { AppendFile } from '../files/append-file.ts';
import type { Files } from '../files/files.ts';
import { encodeRun, type RunEntries } from '../index/run.ts';
import type { PackReader } from '../pack/reader.ts';
import { writableStaging, type StoreContext } from './context.ts';
import type { Pacer } from './clock.ts';

/** Opens the run of every pack, building what is not there. */
export async function refreshIndex(context: StoreContext, pacer: Pacer): Promise<void> {
  for (const { name } of context.catalog.packs()) {
    if (context.index.has(name)) continue;
    const digest = fromHex(name) as Uint8Array;
    const path = context.layout.runFile(name);
    // A run in which damage was met would open again, and meet it again.
    const isKnown = context.index.isDamaged(name)
      ? false
      : context.index.attach(name, digest, path);
    if (!isKnown && buildRunIfReadable(context, name)) context.index.attach(name, digest, path);
    await pacer.pause();
  }
}

/** A pack that cannot be read has no run: its pages never match, and are stored again. */
function buildRunIfReadable(context: StoreContext, packName: string): boolean {
  try {
    writeRun(context, packName, context.packs.reader(packName));
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

/**
 * Writes the run of a pack and puts it in place. Not synced: it is derived and checksummed, so a
 * power loss costs building it again.
 */
export function writeRun(context: StoreContext, packName: string, pack: PackReader): void {
  const { files, layout } = context;
  const staged = writableStaging(context).newPath('.run');
  try {
    writeStagedRun(files, staged, packName, pack);
    files.rename(staged, layout.runFile(packName));
  } catch (error) {
    files.removeTree(staged);
    throw storageError('write the page index', staged, error);
  }
}

function writeStagedRun(files: Files, path: string, packName: string, pack: PackReader): void {
  const file = new AppendFile(files, path);
  try {
    const digest = fromHex(packName) as Uint8Array;
    encodeRun(collectEntries(pack), digest, (bytes) => file.write(bytes));
    file.flush();
  } finally {
    file.close();
  }
}

function collectEntries(pack: PackReader): RunEntries {
  const segmentCount = pack.footer.references.length;
  const count = countPages(pack);
  const prefix = new Uint32Array(count);
  const rest = new Uint16Array(count);
  const segments = new Uint16Array(count);
  const slots = new Uint32Array(count);
  let entry = 0;
  for (let segment = 0; segment < segmentCount; segment++) {
    for (const table of pack.frameTables(segment)) {
      for (let index = 0; index < table.length; index++) {
        const digests = pack.frameDigests(table, index);
        const view = new DataView(digests.buffer, digests.byteOffset, digests.length);
        for (const [rank, slot] of table.slotsAt(index).entries()) {
          prefix[entry] = view.getUint32(rank * 32);
          rest[entry] = view.getUint16(rank * 32 + 4);
          segments[entry] = segment;
          slots[entry] = slot;
          entry += 1;
        }
      }
    }
  }
  return { count, prefix, rest, segment: segments, slot: slots };
}

function countPages(pack: PackReader): number {
  let count = 0;
  for (let segment = 0; segment < pack.footer.references.length; segment++) {
    for (const table of pack.frameTables(segment)) {
      for (let index = 0; index < table.length; index++) count += table.pagesAt(index);
    }
  }
  return count;
}
