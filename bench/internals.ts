/**
 * The parts of the library that are not its public surface, and that micro benchmarks call, and
 * that packs are read with: the only place that knows where they are. They are loaded from
 * the built library, because that is what runs at users.
 */
import type * as Zstandard from '../src/bytes/zstd.ts';
import type * as Digest from '../src/bytes/digest-node.ts';
import type * as Pagemaps from '../src/criu/pagemap.ts';
import type * as Descriptors from '../src/files/descriptor-pool.ts';
import type * as NodeFiles from '../src/files/node-files.ts';
import type * as IndexPages from '../src/index/page-index.ts';
import type * as IndexRuns from '../src/index/run-builder.ts';
import type * as PageRuns from '../src/manifest/page-runs.ts';
import type * as Recipes from '../src/manifest/recipe.ts';
import type * as Blocks from '../src/pack/block.ts';
import type * as DeltaFrames from '../src/pack/delta-frame.ts';
import type * as PackFormat from '../src/pack/format.ts';
import type * as FrameBuilders from '../src/pack/frame-builder.ts';
import type * as Packs from '../src/pack/pack-set.ts';
import type * as Diffs from '../src/pack/page-diff.ts';

/** What micro benchmarks call. */
export interface Internals {
  readonly digest: typeof Digest;
  readonly zstd: typeof Zstandard;
  readonly files: typeof NodeFiles;
  readonly pageIndex: typeof IndexPages;
  readonly runBuilder: typeof IndexRuns;
  readonly pageRuns: typeof PageRuns;
  readonly recipe: typeof Recipes;
  readonly pagemap: typeof Pagemaps;
  readonly block: typeof Blocks;
  readonly deltaFrame: typeof DeltaFrames;
  readonly format: typeof PackFormat;
  readonly frameBuilder: typeof FrameBuilders;
  readonly pageDiff: typeof Diffs;
}

/** What packs are read with. */
export interface PackInternals {
  readonly zstd: typeof Zstandard;
  readonly files: typeof NodeFiles;
  readonly descriptors: typeof Descriptors;
  readonly packs: typeof Packs;
  readonly block: typeof Blocks;
  readonly format: typeof PackFormat;
}

/** Loads what micro benchmarks call. */
export async function loadInternals(): Promise<Internals> {
  return {
    digest: await load<typeof Digest>('bytes/digest-node'),
    zstd: await load<typeof Zstandard>('bytes/zstd'),
    files: await load<typeof NodeFiles>('files/node-files'),
    pageIndex: await load<typeof IndexPages>('index/page-index'),
    runBuilder: await load<typeof IndexRuns>('index/run-builder'),
    pageRuns: await load<typeof PageRuns>('manifest/page-runs'),
    recipe: await load<typeof Recipes>('manifest/recipe'),
    pagemap: await load<typeof Pagemaps>('criu/pagemap'),
    block: await load<typeof Blocks>('pack/block'),
    deltaFrame: await load<typeof DeltaFrames>('pack/delta-frame'),
    format: await load<typeof PackFormat>('pack/format'),
    frameBuilder: await load<typeof FrameBuilders>('pack/frame-builder'),
    pageDiff: await load<typeof Diffs>('pack/page-diff'),
  };
}

/** Loads what packs are read with. */
export async function loadPackInternals(): Promise<PackInternals> {
  return {
    zstd: await load<typeof Zstandard>('bytes/zstd'),
    files: await load<typeof NodeFiles>('files/node-files'),
    descriptors: await load<typeof Descriptors>('files/descriptor-pool'),
    packs: await load<typeof Packs>('pack/pack-set'),
    block: await load<typeof Blocks>('pack/block'),
    format: await load<typeof PackFormat>('pack/format'),
  };
}

async function load<Module>(path: string): Promise<Module> {
  return (await import(new URL(`../dist/${path}.js`, import.meta.url).href)) as Module;
}
