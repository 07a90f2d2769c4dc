/**
 * Reads what can be read of a catalog that may be damaged, for a repair: row by row, from both ends
 * of each table, so that a page that SQLite cannot read costs no more than what is on it. A row
 * with a wrong checksum is left out. What is wrong is listed, never thrown.
 *
 * The file is a private copy: opening it may replay its -wal, and changes it.
 */
import Database from 'better-sqlite3';
import { StoreError, storageError } from '../errors.ts';
import { checkRow, type ColumnValue } from './rows.ts';
import { MIGRATIONS } from './schema.ts';

/** What a row of a pack says. */
export interface SalvagedPack {
  readonly name: string;
  readonly sizeBytes: number;
  readonly generation: number;
}

/** What a row of a segment says. */
export interface SalvagedSegment {
  readonly identity: Uint8Array;
  /** Undefined when the pack's row is lost. */
  readonly packName: string | undefined;
  readonly local: number;
  readonly pages: number;
  readonly frameBytes: number;
}

/** What a row of a snapshot says, as far as no manifest says it. */
export interface SalvagedSnapshot {
  readonly id: string;
  /** Undefined when the timeline's row is lost. */
  readonly timelineName: string | undefined;
  readonly sequence: number;
  readonly storedBytes: number;
  /** Undefined when the pack's row is lost. */
  readonly packName: string | undefined;
  /** 0, or what REMOVED says. */
  readonly removed: number;
  readonly pinned: boolean;
  readonly note: string;
}

/** What could be read. */
export interface SalvagedCatalog {
  readonly storeId: Uint8Array | undefined;
  /** 0 when it could not be read. */
  readonly generation: number;
  readonly timelines: readonly { readonly name: string; readonly lastSequence: number }[];
  readonly packs: readonly SalvagedPack[];
  readonly segments: readonly SalvagedSegment[];
  readonly snapshots: readonly SalvagedSnapshot[];
  /** Ids of snapshots that are gone. */
  readonly tombstones: readonly string[];
  readonly retired: readonly {
    readonly pack: string;
    readonly generation: number;
    readonly sizeBytes: number;
  }[];
  readonly lostFrames: readonly { readonly pack: string; readonly offset: number }[];
  readonly verified: readonly { readonly pack: string; readonly atMs: number }[];
  /** Packs that were found damaged when they were last read. */
  readonly damagedPacks: readonly { readonly pack: string; readonly atMs: number }[];
  /** What is wrong with it. */
  readonly damage: readonly StoreError[];
}

/** A catalog of which nothing is left. */
export function emptySalvage(damage: readonly StoreError[]): SalvagedCatalog {
  return {
    storeId: undefined,
    generation: 0,
    timelines: [],
    packs: [],
    segments: [],
    snapshots: [],
    tombstones: [],
    retired: [],
    lostFrames: [],
    verified: [],
    damagedPacks: [],
    damage,
  };
}

/**
 * Reads what it can of the catalog in `file`.
 *
 * @param shown path of the catalog for errors, when `file` is a copy.
 * @throws StoreError UNSUPPORTED_VERSION for a newer catalog, STORAGE.
 */
export function salvageCatalog(file: string, shown: string = file): SalvagedCatalog {
  const damage: StoreError[] = [];
  let database: Database.Database;
  try {
    database = new Database(file, { timeout: 0, fileMustExist: true });
  } catch (cause) {
    throw storageError('open the catalog', shown, cause);
  }
  try {
    checkVersion(database, shown);
    return readTables(new Tables(database, shown, damage), damage);
  } catch (error) {
    if (!isSqliteDamage(error)) throw error;
    damage.push(damageOf(error, shown));
    return emptySalvage(damage);
  } finally {
    database.close();
  }
}

function checkVersion(database: Database.Database, file: string): void {
  const version = database.pragma('user_version', { simple: true }) as number;
  if (version <= MIGRATIONS.length) return;
  throw new StoreError('UNSUPPORTED_VERSION', `catalog version ${version}`, { file });
}

type Row = Readonly<Record<string, ColumnValue>>;

/** The tables of a database, read as far as they go. */
class Tables {
  readonly #database: Database.Database;
  readonly #file: string;
  readonly #damage: StoreError[];

  constructor(database: Database.Database, file: string, damage: StoreError[]) {
    this.#database = database;
    this.#file = file;
    this.#damage = damage;
  }

  /** Whether there is a table, which older catalogs may lack. */
  has(table: string): boolean {
    try {
      const sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";
      return this.#database.prepare(sql).pluck().get(table) === 1;
    } catch (error) {
      if (!isSqliteDamage(error)) throw storageError('read the catalog', this.#file, error);
      return false;
    }
  }

  /** The rows of a table that can be read. */
  read(table: string): Row[] {
    const rows = new Map<number, Row>();
    for (const order of ['ASC', 'DESC']) {
      try {
        const sql = `SELECT rowid AS row_number, * FROM ${table} ORDER BY rowid ${order}`;
        for (const row of this.#database.prepare(sql).iterate() as IterableIterator<Row>) {
          rows.set(row['row_number'] as number, row);
        }
        break;
      } catch (error) {
        if (!isSqliteDamage(error)) throw storageError('read the catalog', this.#file, error);
        if (order === 'ASC') this.#damage.push(damageOf(error, this.#file));
      }
    }
    return [...rows.values()];
  }

  /** The rows that have a checksum, and a right one. */
  intact(table: string): Row[] {
    return this.read(table).filter((row) => {
      const { row_number: number, checksum, ...columns } = row;
      const isKeyed = table === 'store';
      const values = Object.entries(columns).filter(([name]) => !(isKeyed && name === 'id'));
      try {
        const bytes = checksum instanceof Uint8Array ? checksum : new Uint8Array(0);
        const list = values.map(([, value]) => value);
        checkRow(this.#file, table, number as number, list, bytes);
        return true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.#damage.push(error);
        return false;
      }
    });
  }
}

function readTables(tables: Tables, damage: readonly StoreError[]): SalvagedCatalog {
  const [store] = tables.intact('store');
  const timelines = tables.intact('timelines');
  const packs = tables.intact('packs');
  const nameOf = (rows: readonly Row[]) =>
    new Map(rows.map((row) => [row['number'], row['name'] as string]));
  const [packNames, timelineNames] = [nameOf(packs), nameOf(timelines)];
  return {
    storeId: store?.['store_id'] as Uint8Array | undefined,
    generation: (store?.['generation'] as number | undefined) ?? 0,
    timelines: timelines.map((row) => ({
      name: row['name'] as string,
      lastSequence: row['last_sequence'] as number,
    })),
    packs: packs.map((row) => ({
      name: row['name'] as string,
      sizeBytes: row['size_bytes'] as number,
      generation: row['generation'] as number,
    })),
    segments: tables.intact('segments').map((row) => ({
      identity: row['identity'] as Uint8Array,
      packName: packNames.get(row['pack'] as number),
      local: row['local'] as number,
      pages: row['pages'] as number,
      frameBytes: row['frame_bytes'] as number,
    })),
    snapshots: tables.intact('snapshots').map((row) => ({
      id: row['id'] as string,
      timelineName: timelineNames.get(row['timeline'] as number),
      sequence: row['sequence'] as number,
      storedBytes: row['stored_bytes'] as number,
      packName: packNames.get(row['pack'] as number),
      removed: row['removed'] as number,
      pinned: row['pinned'] === 1,
      note: row['note'] as string,
    })),
    ...readUnchecked(tables),
    damage,
  };
}

/** Tables without checksums: of little weight each, so only their forms are looked at. */
function readUnchecked(
  tables: Tables,
): Pick<SalvagedCatalog, 'tombstones' | 'retired' | 'lostFrames' | 'verified' | 'damagedPacks'> {
  const withPack = (table: string) =>
    tables.read(table).filter(({ pack }) => /^[0-9a-f]{64}$/.test(String(pack)));
  return {
    tombstones: tables.read('tombstones').map((row) => String(row['snapshot_id'])),
    retired: withPack('retired').map((row) => ({
      pack: row['pack'] as string,
      generation: Number(row['generation']),
      sizeBytes: Number(row['size_bytes']),
    })),
    lostFrames: withPack('lost_frames').map((row) => ({
      pack: row['pack'] as string,
      offset: Number(row['offset']),
    })),
    verified: withPack('verified').map(timeOf),
    damagedPacks: tables.has('damaged_packs') ? withPack('damaged_packs').map(timeOf) : [],
  };
}

function timeOf({ pack, at_ms: atMs }: Row): { readonly pack: string; readonly atMs: number } {
  return { pack: pack as string, atMs: Number(atMs) };
}

/** Also tables or columns that are not there: of a schema that is damaged. */
function isSqliteDamage(error: unknown): boolean {
  if (!(error instanceof Database.SqliteError)) return false;
  return /^SQLITE_(CORRUPT|NOTADB|ERROR|IOERR_SHORT_READ)/.test(error.code);
}

function damageOf(cause: unknown, file: string): StoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreError('CORRUPT', `damaged catalog: ${reason}`, { file, cause });
}
