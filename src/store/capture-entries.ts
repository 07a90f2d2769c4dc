/**
 * Reads every entry of an image directory, file after file in 1 MiB slices, into the page store,
 * and returns the entries of the manifest. Names ascending by their bytes, pages in address order.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { ImageDirectory, ImageEntry } from '../images/index.ts';
import type { Content, ManifestEntry } from '../manifest/manifest.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions } from './context.ts';
import { SLICE_PAGES, type PageStore } from './page-store.ts';

const SLICE_BYTES = SLICE_PAGES * PAGE_BYTES;

/** Stores the content of all entries. */
export async function captureEntries(
  images: ImageDirectory,
  pages: PageStore,
  pacer: Pacer,
  options: OperationOptions,
): Promise<ManifestEntry[]> {
  const total = images.entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  let before = 0;
  const report = (done: number) =>
    options.onProgress?.({ phase: 'pages', done: before + done, total });
  const entries: ManifestEntry[] = [];
  for (const entry of images.entries) {
    const { name, mode } = entry;
    const content =
      entry.kind === 'file' ? await captureFile(entry, pages, pacer, report) : undefined;
    entries.push({ name, mode, content });
    before += entry.sizeBytes;
  }
  report(0);
  return entries;
}

async function captureFile(
  entry: ImageEntry,
  pages: PageStore,
  pacer: Pacer,
  report: (done: number) => void,
): Promise<Content> {
  const { sizeBytes, space } = entry;
  const reader = entry.open();
  try {
    for (let done = 0; done < sizeBytes; done += SLICE_BYTES) {
      const length = Math.min(SLICE_BYTES, sizeBytes - done);
      reader.read(pages.slice.subarray(0, length), done);
      pages.addSlice(length);
      if (done > 0) report(done);
      await pacer.pause();
    }
  } finally {
    reader.close();
  }
  const { leaves, recipe } = pages.endSpace();
  const addresses = space && {
    name: space.name,
    runStart: space.runStart,
    runLength: space.runLength,
  };
  return { sizeBytes, leaves, recipe, addresses };
}
