/**
 * The inventory of a dump: whether this version can keep the dump, and how to tell it from others.
 */
import { type CriuMessage, decodeMessage, type ImagePiece, splitImage } from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { INVENTORY_BYTES_MAX } from './limits.ts';
import { type ListedItem, readListed, shownPath } from './listing.ts';

/** What tells one dump from another. */
export interface DumpIdentity {
  /** CRIU's own id of the dump, since CRIU 4.1. */
  readonly criuRunId: string | undefined;
  /** `/proc/uptime` at the dump, in microseconds; only where memory is tracked. */
  readonly dumpUptimeUs: bigint | undefined;
}

/** Name of the image in a directory. */
export const INVENTORY_NAME = 'inventory.img';

/**
 * Reads the inventory of the directory at `path`.
 *
 * @param item what stands there under that name.
 */
export function readInventory(
  files: Files,
  path: string,
  item: ListedItem | undefined,
): CriuMessage {
  if (item?.facts.kind !== 'file') {
    const message = `not an image directory: no ${INVENTORY_NAME}`;
    throw new StoreError('INVALID_IMAGE', message, { file: path });
  }
  const file = shownPath(item);
  const { sizeBytes } = item.facts;
  if (sizeBytes > INVENTORY_BYTES_MAX) {
    const message = `${sizeBytes} bytes long, at most ${INVENTORY_BYTES_MAX} are supported`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file });
  }
  const { kind, pieces } = splitImage(readListed(files, item, INVENTORY_BYTES_MAX), file);
  const entry: ImagePiece | undefined = pieces[0];
  if (kind.format !== 'inventory' || entry === undefined) {
    throw new StoreError('INVALID_IMAGE', 'not an inventory', { file, offset: 0 });
  }
  const inventory = decodeMessage('inventory_entry', entry.bytes, { file, offset: entry.offset });
  checkVersion(Number(inventory['img_version']), file);
  return inventory;
}

function checkVersion(version: number, file: string): void {
  if (version === 0 || version === 2) return;
  const what =
    version === 1
      ? 'images of the format before CRIU 1.6'
      : `images of version ${version}: compressed pages, or a newer CRIU`;
  throw new StoreError('UNSUPPORTED_IMAGE', what, { file });
}

/** Which dump an inventory is of. */
export function dumpIdentity(inventory: CriuMessage): DumpIdentity {
  const runId = inventory['dump_criu_run_id'];
  return {
    criuRunId: runId instanceof Uint8Array ? new TextDecoder().decode(runId) : undefined,
    dumpUptimeUs: inventory['dump_uptime'] as bigint | undefined,
  };
}
