/**
 * Writes a snapshot's recipes once more, as a difference to another snapshot than before, or to
 * none: so that the one it differed from can go. What the snapshot holds stays, and its digest too.
 */
import { idFromText } from '../bytes/id.ts';
import { Alignment } from '../manifest/alignment.ts';
import type { Manifest, ManifestEntry } from '../manifest/manifest.ts';
import { type PageRuns, PageRunsCursor, ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { RecipeBuilder } from '../manifest/recipe.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { readManifest } from './read-manifest.ts';
import { alignedFile, findPages, type StoredFile, type StoredSnapshot } from './snapshot-pages.ts';

/**
 * The manifest of a snapshot with its next revision.
 *
 * @param isBase whether recipes may differ from a snapshot, by its id.
 * @throws StoreError CORRUPT.
 */
export async function rewriteManifest(
  context: StoreContext,
  snapshot: StoredSnapshot,
  isBase: (id: string) => boolean,
  pacer: Pacer,
): Promise<Manifest> {
  const base = await findBase(context, snapshot, isBase, pacer);
  const segments = new SegmentNumbers(context);
  const byEntry = new Map(snapshot.files.map((file) => [file.entry, file]));
  const entries: ManifestEntry[] = [];
  for (const [index, entry] of snapshot.manifest.entries.entries()) {
    const file = byEntry.get(index);
    entries.push(file === undefined ? entry : rewriteEntry(snapshot, file, base, segments));
    await pacer.pause();
  }
  const { manifest } = snapshot;
  const depth = (base?.snapshot.manifest.base?.depth ?? 0) + 1;
  const id = base && (idFromText(base.snapshot.row.id) as Uint8Array);
  return {
    ...manifest,
    revision: manifest.revision + 1,
    base: id && { id, depth },
    segments: segments.identities,
    entries,
  };
}

/** The snapshot that recipes will differ from, and which of its entries they have as bases. */
interface NewBase {
  readonly snapshot: StoredSnapshot;
  /** By the entry of the snapshot that differs. */
  readonly entryOf: (entry: number) => number | undefined;
}

/** The nearest of those that the recipes stand on already. */
async function findBase(
  context: StoreContext,
  snapshot: StoredSnapshot,
  isBase: (id: string) => boolean,
  pacer: Pacer,
): Promise<NewBase | undefined> {
  const place = snapshot.chain.findIndex(({ id }, i) => i > 0 && isBase(id));
  const row = snapshot.chain[place];
  if (row === undefined) return undefined;
  const between = snapshot.chain.slice(1, place).map((other) => readManifest(context, other));
  const manifests = [snapshot.manifest, ...between];
  const entryOf = (entry: number): number | undefined => {
    let at: number | undefined = entry;
    for (const { entries } of manifests) {
      if (at !== undefined) at = entries[at]?.content?.baseEntry;
    }
    return at;
  };
  return { snapshot: await findPages(context, row, pacer), entryOf };
}

function rewriteEntry(
  snapshot: StoredSnapshot,
  file: StoredFile,
  base: NewBase | undefined,
  segments: SegmentNumbers,
): ManifestEntry {
  const { baseEntry: _, ...content } = file.content;
  const { name, mode, role } = file;
  const described = role === undefined ? { name, mode } : { name, mode, role };
  const baseEntry = base?.entryOf(file.entry);
  const baseFile = base?.snapshot.files.find(({ entry }) => entry === baseEntry);
  if (base === undefined || baseEntry === undefined || baseFile === undefined) {
    return { ...described, content: { ...content, recipe: wholeRecipe(file.runs, segments) } };
  }
  const alignment = new Alignment(
    alignedFile(snapshot.manifest, file.entry),
    alignedFile(base.snapshot.manifest, baseEntry),
  );
  const recipe = recipeOn(file.runs, baseFile.runs, alignment, segments);
  return { ...described, content: { ...content, baseEntry, recipe } };
}

function wholeRecipe(runs: PageRuns, segments: SegmentNumbers): Uint8Array {
  const recipe = new RecipeBuilder();
  let start = 0;
  for (let run = 0; run < runs.length; run++) {
    const end = runs.end[run] as number;
    const segment = runs.segment[run] as number;
    addPages(recipe, segments, { segment, slot: runs.slot[run] as number }, end - start);
    start = end;
  }
  return recipe.finish();
}

function recipeOn(
  runs: PageRuns,
  baseRuns: PageRuns,
  alignment: Alignment,
  segments: SegmentNumbers,
): Uint8Array {
  const recipe = new RecipeBuilder();
  const own = new PageRunsCursor(runs);
  const base = new PageRunsCursor(baseRuns);
  for (let page = 0; own.seek(page);) {
    const basePage = alignment.find(page);
    let pages = Math.min(own.pagesLeft, alignment.pagesLeft);
    let isSame = false;
    if (basePage >= 0 && base.seek(basePage)) {
      pages = Math.min(pages, base.pagesLeft);
      // Consecutive slots on both sides: as the first, so the rest.
      isSame = base.segment === own.segment && base.slot === own.slot;
    }
    if (isSame) for (let i = 0; i < pages; i++) recipe.addSame();
    else addPages(recipe, segments, own, pages);
    page += pages;
  }
  return recipe.finish();
}

function addPages(
  recipe: RecipeBuilder,
  segments: SegmentNumbers,
  { segment, slot }: { readonly segment: number; readonly slot: number },
  pages: number,
): void {
  if (segment === ZERO_SEGMENT) {
    for (let i = 0; i < pages; i++) recipe.addZero();
    return;
  }
  const local = segments.localOf(segment);
  for (let i = 0; i < pages; i++) recipe.addSlot(local, slot + i);
}

/** The catalog's numbers of segments to a manifest's own. */
class SegmentNumbers {
  readonly identities: Uint8Array[] = [];
  readonly #context: StoreContext;
  readonly #locals = new Map<number, number>();

  constructor(context: StoreContext) {
    this.#context = context;
  }

  localOf(number: number): number {
    let local = this.#locals.get(number);
    if (local === undefined) {
      local = this.identities.push(this.#context.segments.table.identity(number).slice()) - 1;
      this.#locals.set(number, local);
    }
    return local;
  }
}
