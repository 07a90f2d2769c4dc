/**
 * The tables of the catalog, as a list of migrations: version n of the schema is what the first n
 * of them make. They are never edited once released, only added to; `PRAGMA user_version` counts.
 *
 * Rows that decide what exists carry a checksum over all their columns (rows.ts), because SQLite's
 * own pages carry none.
 */

/** Statements that take a catalog from version i to i + 1. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE store (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    store_id      BLOB    NOT NULL,      -- 16 random bytes, the same as in format.json
    generation    INTEGER NOT NULL,      -- raised when slots are condemned, and when segments move
    states_changed INTEGER NOT NULL,     -- changes of pins, notes and marks that no pack tells yet
    checksum      BLOB    NOT NULL
  ) STRICT;

  CREATE TABLE timelines (
    number        INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    last_sequence INTEGER NOT NULL,      -- the greatest ever given, also to one that is gone
    checksum      BLOB    NOT NULL
  ) STRICT;

  -- AUTOINCREMENT: numbers are never given twice, though rows go away.
  CREATE TABLE packs (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,  -- SHA-256 of its bytes, in hex
    size_bytes    INTEGER NOT NULL,
    generation    INTEGER NOT NULL,      -- of the store when the pack was committed
    checksum      BLOB    NOT NULL
  ) STRICT;

  CREATE TABLE segments (
    -- The small number; nothing outside the catalog uses it.
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    identity      BLOB    NOT NULL UNIQUE,  -- 16 random bytes
    pack          INTEGER NOT NULL REFERENCES packs (number),
    local         INTEGER NOT NULL,      -- its number in that pack's footer
    pages         INTEGER NOT NULL,
    frame_bytes   INTEGER NOT NULL,      -- of the frames that hold them
    checksum      BLOB    NOT NULL
  ) STRICT;

  CREATE TABLE snapshots (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    timeline        INTEGER NOT NULL REFERENCES timelines (number),
    sequence        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    taken_at_ms     INTEGER NOT NULL,
    digest          BLOB    NOT NULL,
    parent_id       TEXT,                -- stays when the parent is gone
    parent_digest   BLOB,
    criu_run_id     TEXT,
    labels          TEXT    NOT NULL,    -- JSON: [[key, value], …], keys ascending
    logical_bytes   INTEGER NOT NULL,
    logical_pages   INTEGER NOT NULL,
    new_pages       INTEGER NOT NULL,
    stored_bytes    INTEGER NOT NULL,
    pack            INTEGER NOT NULL REFERENCES packs (number),
    manifest_digest BLOB    NOT NULL,
    revision        INTEGER NOT NULL,
    base_id         TEXT,                -- the snapshot that its recipes differ from
    removed         INTEGER NOT NULL,    -- 1: marked; 2: condemned, and only a base of others
    pinned          INTEGER NOT NULL,    -- 1: no policy removes it
    note            TEXT    NOT NULL,
    checksum        BLOB    NOT NULL,
    UNIQUE (timeline, sequence)
  ) STRICT;
  CREATE INDEX snapshots_by_time ON snapshots (timeline, taken_at_ms, sequence);

  -- Slots that no snapshot needs. They are still there, and nothing new may refer to them.
  CREATE TABLE condemned (
    segment       INTEGER PRIMARY KEY REFERENCES segments (number),
    slots         BLOB    NOT NULL,      -- a slot set (FORMAT.md, section 7)
    checksum      BLOB    NOT NULL
  ) STRICT;

  -- Packs that the catalog has let go of; their files go as soon as no older operation runs.
  CREATE TABLE retired (
    pack          TEXT    PRIMARY KEY,   -- name
    generation    INTEGER NOT NULL,      -- operations that began before it may still read the pack
    size_bytes    INTEGER NOT NULL
  ) STRICT;

  -- Snapshots that are gone while a pack still has a manifest of them.
  CREATE TABLE tombstones (
    snapshot_id   TEXT    PRIMARY KEY
  ) STRICT;

  CREATE TABLE verified (
    pack          TEXT    PRIMARY KEY,   -- name
    at_ms         INTEGER NOT NULL       -- when every page of it was last found right
  ) STRICT;

  CREATE TABLE lost_frames (
    pack          TEXT    NOT NULL,      -- name of the pack
    offset        INTEGER NOT NULL,      -- of the frame's block that was found damaged
    PRIMARY KEY (pack, offset)
  ) STRICT;

  CREATE TABLE leases (
    name          TEXT    PRIMARY KEY,   -- of the file in leases/, whose lock is the claim itself
    generation    INTEGER NOT NULL,      -- of the store when it was opened
    process       INTEGER NOT NULL       -- for messages only
  ) STRICT;
  `,
  `
  CREATE TABLE checked_snapshots (
    snapshot_id   TEXT    PRIMARY KEY,
    at_ms         INTEGER NOT NULL       -- when every page of it was last read, right or not
  ) STRICT;
  `,
  `
  CREATE TABLE damaged_packs (
    pack          TEXT    PRIMARY KEY,   -- name
    at_ms         INTEGER NOT NULL       -- when it was last read: it was damaged
  ) STRICT;
  `,
  `
  CREATE TABLE backups (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    token         BLOB    NOT NULL       -- 16 random bytes, the same as in the backup
  ) STRICT;
  `,
];
