/** A store as it would be with a catalog that is only tried out: nothing of it is written. */
import { Catalog } from '../catalog/catalog.ts';
import { writeCatalog, type CatalogContent } from '../catalog/rebuild.ts';
import type { StoreContext } from './context.ts';
import { assemble } from './open-store.ts';
import type { RepairWork } from './repair-plan.ts';

/** The parts of a store that is tried out. */
export interface DraftStore extends StoreContext {
  /** Closes the catalog; the packs belong to the repair. */
  readonly close: () => void;
}

const CACHE_BYTES = 16 * 1024 * 1024;

/** Puts a catalog and the packs of a repair together. */
export async function openDraft(
  { files, layout, packs }: Pick<RepairWork, 'files' | 'layout' | 'packs'>,
  catalog: Catalog,
): Promise<DraftStore> {
  const settings = {
    create: false,
    readOnly: true,
    anyFileSystem: true,
    files,
    cacheBytes: CACHE_BYTES,
    warmBytes: 0,
    compressionLevel: 1,
    maxDeltaDepth: 0,
    workers: 0,
    workersFromBytes: 0,
    lockTimeoutMs: 0,
  };
  const context = await assemble(layout, settings, catalog, undefined);
  const close = () => {
    context.index.close();
    context.packs.close();
    catalog.close();
  };
  return { ...context, packs, close };
}

/** A private file for a catalog. */
export function newCatalogFile({ files, newPath }: RepairWork): string {
  const path = newPath('.sqlite');
  files.close(files.open(path, 'create'));
  return path;
}

/** Tries out a catalog of this content. */
export async function withDraft<T>(
  work: RepairWork,
  content: CatalogContent,
  use: (draft: DraftStore) => Promise<T>,
): Promise<T> {
  const file = newCatalogFile(work);
  await writeCatalog(file, content, () => work.pacer.pause());
  const draft = await openDraft(work, await Catalog.open(file, content.storeId));
  try {
    return await use(draft);
  } finally {
    draft.close();
    work.files.unlink(file);
  }
}
