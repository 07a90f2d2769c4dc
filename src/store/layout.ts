/** Where everything is in a store's directory. Only names: nothing is opened here. */
import { join } from 'node:path';

/** How the files end that say that a handle is at work. */
export const ACTIVITY_SUFFIX = '.activity';

/** Paths of a store. */
export class StoreLayout {
  /** The store's own directory, absolute. */
  readonly directory: string;
  /** Format version, store id, feature flags. */
  readonly formatFile: string;
  /** The SQLite database. */
  readonly catalogFile: string;
  /** Packs, in 256 subdirectories by the first byte of their names. */
  readonly packs: string;
  /** Lease files. */
  readonly leases: string;
  /** Runs of the page index. */
  readonly index: string;
  /** Heads. */
  readonly cache: string;
  /** Unfinished work, a subdirectory for each lease. */
  readonly staging: string;
  /** What repairs took away, a subdirectory for each of them. */
  readonly damaged: string;
  /** Held while a store is repaired. */
  readonly repairLock: string;

  constructor(directory: string) {
    this.directory = directory;
    this.formatFile = join(directory, 'format.json');
    this.catalogFile = join(directory, 'catalog.sqlite');
    this.packs = join(directory, 'packs');
    this.leases = join(directory, 'leases');
    this.index = join(directory, 'index');
    this.cache = join(directory, 'cache');
    this.staging = join(directory, 'staging');
    this.damaged = join(directory, 'damaged');
    this.repairLock = join(this.leases, 'repair.lock');
  }

  /** The subdirectories. */
  get subdirectories(): string[] {
    return [this.packs, this.leases, this.index, this.cache, this.staging];
  }

  /** Everything that a store's directory may hold at its top. */
  get ownNames(): string[] {
    const catalog = ['', '-wal', '-shm', '-journal'].map((end) => `catalog.sqlite${end}`);
    return ['format.json', ...catalog, 'packs', 'leases', 'index', 'cache', 'staging', 'damaged'];
  }

  /** The subdirectory of a pack. */
  packDirectory(name: string): string {
    return join(this.packs, name.slice(0, 2));
  }

  /** A pack, by its name. */
  packFile(name: string): string {
    return join(this.packDirectory(name), `${name}.pack`);
  }

  /** A run of the page index, by its name. */
  runFile(name: string): string {
    return join(this.index, `${name}.run`);
  }

  /** A process's lease. */
  leaseFile(lease: string): string {
    return join(this.leases, `${lease}.lease`);
  }

  /** What is locked while operations run on a process's handle. */
  activityFile(lease: string): string {
    return join(this.leases, `${lease}${ACTIVITY_SUFFIX}`);
  }

  /** A process's unfinished work. */
  stagingDirectory(lease: string): string {
    return join(this.staging, lease);
  }
}
