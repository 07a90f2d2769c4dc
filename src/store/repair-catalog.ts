/**
 * The old catalog of a store that is repaired, and how a new one takes its place.
 *
 * The old one is read from a copy: with its -wal, and without it where that makes no whole catalog
 * of it, because the -wal may be of another. The new one takes its place in an order in which no
 * -wal ever meets a catalog that is not its own: first the new one waits, durable, in
 * damaged/<name>/; then the old one goes there, and only then its -wal; then the new one comes.
 * Between the two there is no catalog: the store cannot be opened, and the next repair goes on from
 * the one that waits.
 */
import { join } from 'node:path';
import { Catalog } from '../catalog/catalog.ts';
import { emptySalvage, salvageCatalog, type SalvagedCatalog } from '../catalog/salvage.ts';
import { isDamage, StoreError, storageError } from '../errors.ts';
import { copyStable } from '../files/copy-stable.ts';
import type { Files } from '../files/files.ts';
import { exists, moveDurably, syncDirectory } from '../files/transfer.ts';
import type { StoreLayout } from './layout.ts';

/** What was read of the old catalog. */
export interface OldCatalog {
  readonly salvage: SalvagedCatalog;
  /** Of a private copy that is whole, and this store's. */
  readonly whole: string | undefined;
}

/** What goes with a catalog, in the order in which it is taken away. */
const COMPANIONS = ['-wal', '-shm', '-journal'];
/** The new catalog, while it waits in damaged/<name>/. */
const WAITING = 'repaired.sqlite';

/**
 * Reads the old catalog.
 *
 * @param storeId of format.json; undefined when that is lost.
 * @param newPath names a new file for a copy.
 */
export async function readOldCatalog(
  files: Files,
  layout: StoreLayout,
  storeId: Uint8Array | undefined,
  newPath: (suffix: string) => string,
): Promise<OldCatalog> {
  const { catalogFile: file } = layout;
  if (!exists(files, file)) return readWaiting(files, layout, newPath);
  if (files.lstat(file).sizeBytes === 0) {
    return { salvage: lost('the catalog is empty', file), whole: undefined };
  }
  const copies = [true, false].map((withLog) => {
    const copy = newPath('.sqlite');
    const log = { from: `${file}-wal`, to: `${copy}-wal`, optional: true };
    copyStable(files, [{ from: file, to: copy, optional: false }, ...(withLog ? [log] : [])]);
    return copy;
  });
  const [withLog, alone] = copies as [string, string];
  const damage = await checkCatalog(withLog, storeId);
  const salvage = salvageCatalog(withLog, file);
  if (damage.length === 0) return { salvage, whole: withLog };
  const other = salvageCatalog(alone, file);
  const best = other.snapshots.length > salvage.snapshots.length ? other : salvage;
  return { salvage: { ...best, damage: [...damage, ...best.damage] }, whole: undefined };
}

function lost(message: string, file: string): SalvagedCatalog {
  return emptySalvage([new StoreError('CORRUPT', message, { file })]);
}

/** Where a repair was cut off between the old catalog and the new one, that is the one to read. */
function readWaiting(
  files: Files,
  layout: StoreLayout,
  newPath: (suffix: string) => string,
): OldCatalog {
  const nothing = lost('the catalog is missing', layout.catalogFile);
  const waiting = waitingCatalogs(files, layout).at(-1);
  if (waiting === undefined) return { salvage: nothing, whole: undefined };
  const copy = newPath('.sqlite');
  copyStable(files, [{ from: waiting, to: copy, optional: false }]);
  const salvage = salvageCatalog(copy, waiting);
  return {
    salvage: { ...salvage, damage: [...nothing.damage, ...salvage.damage] },
    whole: undefined,
  };
}

function waitingCatalogs(files: Files, layout: StoreLayout): string[] {
  if (!exists(files, layout.damaged)) return [];
  return files
    .list(layout.damaged)
    .map((name) => join(layout.damaged, name.toString(), WAITING))
    .filter((path) => exists(files, path));
}

/** What is wrong with a catalog; nothing when it can be used as it is. */
async function checkCatalog(
  file: string,
  storeId: Uint8Array | undefined,
): Promise<readonly StoreError[]> {
  try {
    if (storeId === undefined) {
      return [new StoreError('CORRUPT', 'nothing says whose catalog it is', { file })];
    }
    const catalog = await Catalog.open(file, storeId, { mayBeNew: false });
    try {
      const damage = catalog.check();
      catalog.totals();
      catalog.timelineNames();
      return damage;
    } finally {
      catalog.close();
    }
  } catch (error) {
    if (error instanceof StoreError && isDamage(error)) return [error];
    throw error;
  }
}

/** A directory of damaged/, made when something is to be put there. */
export class DamagedDirectory {
  readonly #files: Files;
  readonly #layout: StoreLayout;
  readonly #path: string;
  #isMade = false;

  /** @param name a new one, that ascends with time. */
  constructor(files: Files, layout: StoreLayout, name: string) {
    this.#files = files;
    this.#layout = layout;
    this.#path = join(layout.damaged, name);
  }

  /** A path in it. */
  pathOf(name: string): string {
    if (!this.#isMade) {
      const { damaged, directory } = this.#layout;
      if (!exists(this.#files, damaged)) this.#files.mkdir(damaged, 0o700);
      syncDirectory(this.#files, directory);
      this.#files.mkdir(this.#path, 0o700);
      syncDirectory(this.#files, damaged);
      this.#isMade = true;
    }
    // Files of one name from several directories are all kept.
    const path = join(this.#path, name);
    for (let number = 1, free = path; ; number++, free = `${path}-${number}`) {
      if (!exists(this.#files, free)) return free;
    }
  }

  /** Makes what was put there durable. */
  sync(): void {
    if (this.#isMade) syncDirectory(this.#files, this.#path);
  }
}

/** Puts a new catalog, complete and closed, in the place of the old one. */
export function replaceCatalog(
  files: Files,
  layout: StoreLayout,
  made: string,
  damaged: DamagedDirectory,
): void {
  const { catalogFile, directory } = layout;
  try {
    const waiting = damaged.pathOf(WAITING);
    const old = waitingCatalogs(files, layout);
    syncFile(files, made);
    files.rename(made, waiting);
    damaged.sync();
    moveAside(files, catalogFile, damaged.pathOf('catalog.sqlite'));
    damaged.sync();
    syncDirectory(files, directory);
    for (const end of COMPANIONS) {
      moveAside(files, catalogFile + end, damaged.pathOf(`catalog.sqlite${end}`));
    }
    damaged.sync();
    syncDirectory(files, directory);
    moveDurably(files, waiting, catalogFile);
    for (const path of old) files.unlink(path);
  } catch (error) {
    throw storageError('put the new catalog in its place', catalogFile, error);
  }
}

/** Takes away the name under which the catalog waited, where a cut has left it both. */
export function dropWaitingName(files: Files, layout: StoreLayout): void {
  const { inode } = files.lstat(layout.catalogFile);
  for (const path of waitingCatalogs(files, layout)) {
    if (files.lstat(path).inode === inode) files.unlink(path);
  }
}

function syncFile(files: Files, path: string): void {
  const fd = files.open(path, 'write');
  try {
    files.chmod(fd, 0o600);
    files.sync(fd);
  } finally {
    files.close(fd);
  }
}

function moveAside(files: Files, from: string, to: string): void {
  if (exists(files, from)) files.rename(from, to);
}
