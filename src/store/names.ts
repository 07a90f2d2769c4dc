/**
 * Names of timelines and references to snapshots.
 *
 * A timeline's name has letters, digits and `._:-/`, at most 255 of them. A reference is an id, a
 * unique prefix of one (8 characters or more), `TIMELINE` (its newest restorable snapshot),
 * `TIMELINE@7` (sequence, from 1) or `TIMELINE@2026-11-21T10:00:00Z` (the greatest time not after
 * it, ties by sequence). What looks like an id is tried as one first.
 */
import { isIdPrefix } from '../bytes/id.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';

const TIMELINE_NAME = /^[\p{L}\p{N}._:\-/]{1,255}$/u;
const MINIMUM_PREFIX = 8;
const ISO_TIME =
  /^\d{4}-\d\d-\d\d(?<time>T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?<zone>Z|[+-]\d\d:\d\d)?)?$/;

/** @throws TypeError when a name is not one for a timeline. */
export function checkTimelineName(name: string): void {
  if (typeof name === 'string' && TIMELINE_NAME.test(name)) return;
  const rule = 'letters, digits and ._:-/, at most 255';
  throw new TypeError(`'${name}' cannot name a timeline (${rule})`);
}

/** Finds the snapshot that a reference means. @throws StoreError NOT_FOUND. */
export function resolveSnapshot(catalog: Catalog, reference: string): SnapshotRow {
  const found = findById(catalog, reference) ?? findInTimeline(catalog, reference);
  if (found !== undefined) return found;
  throw new StoreError('NOT_FOUND', `no snapshot is called '${reference}'`);
}

function findById(catalog: Catalog, reference: string): SnapshotRow | undefined {
  if (reference.length < MINIMUM_PREFIX || !isIdPrefix(reference)) return undefined;
  const rows = catalog.snapshots.byIdPrefix(reference.toUpperCase(), 2);
  if (rows.length < 2) return rows[0];
  throw new StoreError('NOT_FOUND', `'${reference}' is the start of several snapshot ids`);
}

function findInTimeline(catalog: Catalog, reference: string): SnapshotRow | undefined {
  const at = reference.indexOf('@');
  if (at < 0) return catalog.snapshots.latest(reference);
  const timeline = reference.slice(0, at);
  const position = reference.slice(at + 1);
  if (/^[1-9][0-9]*$/.test(position))
    return catalog.snapshots.bySequence(timeline, Number(position));
  const time = parseTime(position);
  return time === undefined ? undefined : catalog.snapshots.at(timeline, time);
}

/** Milliseconds of an ISO 8601 time; one without a zone is in UTC. */
function parseTime(text: string): number | undefined {
  const match = ISO_TIME.exec(text);
  if (match === null) return undefined;
  const hasZone = match.groups?.['zone'] !== undefined || match.groups?.['time'] === undefined;
  const time = Date.parse(hasZone ? text : `${text}Z`);
  return Number.isNaN(time) ? undefined : time;
}
