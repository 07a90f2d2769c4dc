/**
 * Which file of the base each entry of an image directory continues.
 *
 * Files are matched by name, and the pages of a memory space by the name of the space, unless their
 * addresses have little in common: another process has got that id. What is left are the spaces of
 * processes that came back under other ids; those are told by where their pages lie, and by the
 * program that runs in them.
 */
import { pagesOf } from '../bytes/page.ts';
import type { AddressMap } from '../manifest/manifest.ts';
import type { CaptureEntry } from './capture-entries.ts';
import type { StoredFile, StoredSnapshot } from './snapshot-pages.ts';

/** A space continues another one if they have this part of the smaller one's pages in common. */
const MINIMUM_OVERLAP = 0.5;

/** Paths or names of programs, as far as they are known, by the space of their process. */
export type Programs = ReadonlyMap<string, string>;

/** Finds out which programs run where; asked only when there is doubt. */
export interface ProgramSource {
  ofImages(): Programs;
  ofBase(): Programs;
}

/** Finds for each entry the file of the base that it continues. */
export function matchFiles(
  entries: readonly CaptureEntry[],
  base: StoredSnapshot | undefined,
  programs: ProgramSource,
): ReadonlyMap<CaptureEntry, StoredFile> {
  const matches = new Map<CaptureEntry, StoredFile>();
  if (base === undefined) return matches;
  const byKey = new Map(base.files.map((file) => [keyOfFile(file), file]));
  const doubtful: CaptureEntry[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'file') continue;
    const file = byKey.get(keyOfEntry(entry));
    if (file !== undefined && isCertain(entry, file)) {
      matches.set(entry, file);
      byKey.delete(keyOfEntry(entry));
    } else if (entry.space !== undefined) doubtful.push(entry);
  }
  if (doubtful.length > 0) {
    const left = [...byKey.values()].filter(({ role }) => role === undefined);
    matchSpaces(doubtful, left, matches, programs);
  }
  return matches;
}

function keyOfFile({ name, content }: StoredFile): string {
  return content.addresses === undefined
    ? `file ${Buffer.from(name).toString('latin1')}`
    : `space ${content.addresses.name}`;
}

function keyOfEntry({ name, space }: CaptureEntry): string {
  return space === undefined
    ? `file ${Buffer.from(name).toString('latin1')}`
    : `space ${space.name}`;
}

/** Pages that are inherited from the parent are those of the space with this very name. */
function isCertain(entry: CaptureEntry, file: StoredFile): boolean {
  if (entry.space === undefined || entry.role !== undefined) return true;
  if ((entry.inherited?.start.length ?? 0) > 0) return true;
  return overlapOf(entry, file) >= MINIMUM_OVERLAP;
}

/** The best pairs first; of equals, the first ones of both lists. */
function matchSpaces(
  entries: readonly CaptureEntry[],
  files: readonly StoredFile[],
  matches: Map<CaptureEntry, StoredFile>,
  programs: ProgramSource,
): void {
  const pairs = entries.flatMap((entry) =>
    files.flatMap((file) => {
      const overlap = overlapOf(entry, file);
      return overlap >= MINIMUM_OVERLAP ? [{ entry, file, overlap }] : [];
    }),
  );
  if (pairs.length === 0) return;
  const [here, there] = [programs.ofImages(), programs.ofBase()];
  pairs.sort((a, b) => b.overlap - a.overlap);
  const taken = new Set<StoredFile>();
  for (const { entry, file } of pairs) {
    if (matches.has(entry) || taken.has(file)) continue;
    const program = here.get(entry.space?.name ?? '');
    const other = there.get(file.content.addresses?.name ?? '');
    if (program !== undefined && other !== undefined && program !== other) continue;
    matches.set(entry, file);
    taken.add(file);
  }
}

/** Which part of the smaller one of two spaces is in both; 0 for what cannot be compared. */
function overlapOf(entry: CaptureEntry, file: StoredFile): number {
  const { space } = entry;
  const { addresses } = file.content;
  if (space === undefined || addresses === undefined) return 0;
  if (isShared(space.name) !== isShared(addresses.name)) return 0;
  const smaller = Math.min(pagesOf(entry.sizeBytes), file.pageCount);
  return commonPages(space, addresses) / Math.max(1, smaller);
}

function isShared(space: string): boolean {
  return space.startsWith('pagemap-shmem-');
}

/** Pages whose addresses are in both maps. */
function commonPages(
  a: Pick<AddressMap, 'runStart' | 'runLength'>,
  b: Pick<AddressMap, 'runStart' | 'runLength'>,
): number {
  let [i, j, common] = [0, 0, 0];
  while (i < a.runStart.length && j < b.runStart.length) {
    const [startA, startB] = [a.runStart[i] as number, b.runStart[j] as number];
    const endA = startA + (a.runLength[i] as number);
    const endB = startB + (b.runLength[j] as number);
    common += Math.max(0, Math.min(endA, endB) - Math.max(startA, startB));
    if (endA <= endB) i += 1;
    else j += 1;
  }
  return common;
}
