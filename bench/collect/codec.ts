/**
 * What collections are held against: every frame of some packs read, its checksum checked, decoded
 * and encoded again, by one thread that writes nothing.
 */
import { loadPackInternals, type PackInternals } from '../internals.ts';
import { tablesOf } from '../measure/delta-pages.ts';

const MAX_DESCRIPTORS = 16;
/** As a store compresses by default. */
const LEVEL = 1;

/** How long that took, and of how much. */
export interface CodecTime {
  readonly milliseconds: number;
  readonly pages: number;
}

/** Decodes and encodes every frame of the packs at these paths. */
export async function timeCodec(paths: readonly string[]): Promise<CodecTime> {
  const internals = await loadPackInternals();
  const zstd = await internals.zstd.loadZstd();
  const { nodeFiles } = internals.files;
  const descriptors = new internals.descriptors.DescriptorPool(nodeFiles, MAX_DESCRIPTORS);
  const recode = recoder(internals, zstd);
  let pages = 0;
  const start = performance.now();
  try {
    for (const path of paths) {
      const pack = internals.packs.openPack(nodeFiles, descriptors, zstd, path);
      for (const table of tablesOf(pack)) {
        for (let index = 0; index < table.length; index++) {
          recode(pack.frameBlock(table, index), path);
          pages += table.pagesAt(index);
        }
      }
      descriptors.forget(path);
    }
    return { milliseconds: performance.now() - start, pages };
  } finally {
    descriptors.close();
  }
}

type Zstd = Awaited<ReturnType<PackInternals['zstd']['loadZstd']>>;

function recoder({ block, format }: PackInternals, zstd: Zstd) {
  const encoder = new block.BlockEncoder(zstd);
  const raw = new Uint8Array(format.FRAME_BYTES);
  return (bytes: Uint8Array, path: string): void => {
    const { type, codec, rawBytes } = format.decodeBlock(bytes, path, 0);
    const stored = bytes.subarray(format.BLOCK_HEADER_BYTES);
    if (codec === format.CODEC.none) raw.set(stored);
    else zstd.decompressInto(raw, stored);
    encoder.encode(type, raw.subarray(0, rawBytes), LEVEL);
  };
}
