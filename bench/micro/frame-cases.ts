/** What is done to frames of 64 pages: full ones and deltas, into blocks and back. */
import { PAGE_BYTES } from '../generate/page-content.ts';
import type { Internals } from '../internals.ts';
import { changePages, makePages, REDIS_CHANGE, type ViewedPage } from './page-cases.ts';
import type { MicroCase } from './stopwatch.ts';

const FRAMES = 16;
/** As a store compresses by default: full pages, and deltas. */
const FULL_LEVEL = 1;
const DELTA_LEVEL = 3;

/** The cases of frames. */
export async function frameCases(internals: Internals): Promise<MicroCase[]> {
  const zstd = await internals.zstd.loadZstd();
  const encoder = new internals.block.BlockEncoder(zstd);
  /** What a reader does to a block before it looks at what is inside. */
  const unpack = (block: Uint8Array, raw: Uint8Array): Uint8Array => {
    const { rawBytes } = internals.format.decodeBlock(block, 'bench', 0);
    zstd.decompressInto(raw, block.subarray(internals.format.BLOCK_HEADER_BYTES));
    return raw.subarray(0, rawBytes);
  };
  const tools = { internals, encoder, unpack };
  const pages = makePages(FRAMES * internals.format.FRAME_PAGES);
  return [...fullFrameCases(tools, pages), ...deltaFrameCases(tools, pages)];
}

interface FrameTools {
  readonly internals: Internals;
  readonly encoder: InstanceType<Internals['block']['BlockEncoder']>;
  readonly unpack: (block: Uint8Array, raw: Uint8Array) => Uint8Array;
}

function fullFrameCases(
  { internals, encoder, unpack }: FrameTools,
  pages: readonly ViewedPage[],
): MicroCase[] {
  const { BLOCK, FRAME_BYTES } = internals.format;
  const all = Buffer.concat(pages.map(({ bytes }) => bytes));
  const frames = Array.from({ length: FRAMES }, (_, i) =>
    all.subarray(i * FRAME_BYTES, (i + 1) * FRAME_BYTES),
  );
  const blocks = frames.map((raw) => encoder.encode(BLOCK.frame, raw, FULL_LEVEL).slice());
  const raw = new Uint8Array(FRAME_BYTES);
  const ofPages = { unit: 'page', unitsPerCall: pages.length };
  return [
    {
      name: `full frame: encode (${bytesAPage(blocks, pages)})`,
      ...ofPages,
      call: () => {
        for (const frame of frames) encoder.encode(BLOCK.frame, frame, FULL_LEVEL);
      },
    },
    {
      name: 'full frame: decode',
      ...ofPages,
      call: () => {
        for (const block of blocks) unpack(block, raw);
      },
    },
  ];
}

function deltaFrameCases(
  { internals, encoder, unpack }: FrameTools,
  pages: readonly ViewedPage[],
): MicroCase[] {
  const { format, deltaFrame } = internals;
  const records = recordsOf(internals, pages);
  const build = (take: (block: Uint8Array) => void): void => {
    const frames = new internals.frameBuilder.DeltaFrames();
    const record = internals.pageDiff.newRecord();
    for (let i = 0; i < pages.length; i++) {
      internals.pageDiff.readRecord(records, i * PAGE_BYTES, record);
      frames.add(record, 0, PAGE_BYTES);
      if (!frames.isFull) continue;
      const raw = frames.take()?.raw ?? new Uint8Array(0);
      take(encoder.encode(format.BLOCK.deltaFrame, raw, DELTA_LEVEL));
    }
  };
  const blocks: Uint8Array[] = [];
  build((block) => blocks.push(block.slice()));
  const raw = new Uint8Array(format.FRAME_BYTES);
  const target = new Uint8Array(format.FRAME_BYTES);
  const ofPages = { unit: 'page', unitsPerCall: pages.length };
  return [
    {
      name: `delta frame: build, encode (${bytesAPage(blocks, pages)})`,
      ...ofPages,
      call: () => {
        build(() => undefined);
      },
    },
    {
      name: 'delta frame: decode, apply',
      ...ofPages,
      call: () => {
        for (const block of blocks) {
          const frame = deltaFrame.decodeDeltaFrame(unpack(block, raw), 'bench', 0);
          for (let i = 0; i < frame.pages; i++) {
            deltaFrame.applyDelta(frame, i, target, i * PAGE_BYTES);
          }
        }
      },
    },
  ];
}

/** The differences of changed pages, 4096 bytes apart. */
function recordsOf({ pageDiff }: Internals, bases: readonly ViewedPage[]): Uint8Array {
  const diff = new pageDiff.PageDiff();
  const records = new Uint8Array(bases.length * PAGE_BYTES);
  changePages(bases, REDIS_CHANGE).forEach((page, i) => {
    if (!diff.compare(page, bases[i] as ViewedPage)) throw new Error('pages differ in too much');
    diff.writeRecord(records, i * PAGE_BYTES, { segment: 1, slot: i, depth: 1 });
  });
  return records;
}

function bytesAPage(blocks: readonly Uint8Array[], pages: readonly ViewedPage[]): string {
  const bytes = blocks.reduce((sum, block) => sum + block.length, 0);
  return `${(bytes / pages.length).toFixed(0)} B a page`;
}
