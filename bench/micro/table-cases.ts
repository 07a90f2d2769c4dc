/** What is done with the tables of a snapshot: recipes, runs of pages, pagemaps. */
import { encodePagemapHead, PE_PRESENT, type Pagemap } from 'criu-timeline/criu';
import { Random } from '../generate/random.ts';
import type { Internals } from '../internals.ts';
import type { MicroCase } from './stopwatch.ts';

const PAGES = 200_000;
const SEGMENTS = 3;
const PAGEMAP_ENTRIES = 10_000;
/** What a page is: zero, the same as in the base, or in a slot of the segment of this number. */
const [ZERO, SAME] = [-2, -1];

/** The cases of tables. */
export function tableCases(internals: Internals): MicroCase[] {
  const kinds = makeKinds();
  return [
    ...recipeCases(internals, kinds),
    ...pageRunsCases(internals, kinds),
    pagemapCase(internals),
  ];
}

/** Stretches of 1 to 8 pages of one kind, as after some captures. */
function makeKinds(): Int8Array {
  const random = new Random(5);
  const kinds = new Int8Array(PAGES);
  for (let page = 0; page < PAGES;) {
    const kind = random.below(SEGMENTS + 2) - 2;
    const end = Math.min(PAGES, page + 1 + random.below(8));
    for (; page < end; page++) kinds[page] = kind;
  }
  return kinds;
}

function recipeCases({ recipe }: Internals, kinds: Int8Array): MicroCase[] {
  const builder = new recipe.RecipeBuilder();
  const encode = (): Uint8Array => {
    kinds.forEach((kind, page) => {
      if (kind === ZERO) builder.addZero();
      else if (kind === SAME) builder.addSame();
      else builder.addSlot(kind, page);
    });
    return builder.finish();
  };
  const encoded = encode();
  const decode = (): void => {
    const cursor = new recipe.RecipeCursor(encoded, PAGES, SEGMENTS, 'bench');
    while (cursor.next());
  };
  const ofPages = { unit: 'page', unitsPerCall: PAGES };
  return [
    { name: 'recipe: encode', ...ofPages, call: () => void encode() },
    { name: 'recipe: decode', ...ofPages, call: decode },
  ];
}

function pageRunsCases({ pageRuns }: Internals, kinds: Int8Array): MicroCase[] {
  const builder = new pageRuns.PageRunsBuilder();
  kinds.forEach((kind, page) => {
    builder.add(kind < 0 ? pageRuns.ZERO_SEGMENT : kind + 1, page, 1);
  });
  const runs = builder.finish();
  const random = new Random(6);
  const jumps = Uint32Array.from({ length: 10_000 }, () => random.below(PAGES));
  const cursor = new pageRuns.PageRunsCursor(runs);
  return [
    {
      name: 'page runs: one page after the other',
      unit: 'page',
      unitsPerCall: PAGES,
      call: () => {
        for (let page = 0; page < PAGES; page++) cursor.seek(page);
      },
    },
    {
      name: `page runs: any page of ${runs.length} runs`,
      unit: 'page',
      unitsPerCall: jumps.length,
      call: () => {
        for (const page of jumps) cursor.seek(page);
      },
    },
  ];
}

function pagemapCase({ pagemap }: Internals): MicroCase {
  const length = PAGEMAP_ENTRIES;
  const made: Pagemap = {
    generation: 'count-in-field-5',
    head: encodePagemapHead(1),
    pagesId: 1,
    starts: Float64Array.from({ length }, (_, i) => 0x7f0000000 + i * 40),
    counts: Float64Array.from({ length }, (_, i) => 1 + (i % 30)),
    flags: new Uint8Array(length).fill(PE_PRESENT),
  };
  const bytes = pagemap.encodePagemap(made);
  const call = (): void => void pagemap.decodePagemap(bytes);
  return { name: 'pagemap: decode', unit: 'entry', unitsPerCall: length, call };
}
