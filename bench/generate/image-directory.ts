/**
 * Writes image directories of one made-up process, in the form of CRIU 4.2: inventory, process
 * tree, ids, pagemap and pages. `criu restore` would need more; whoever stores them does not.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  encodeMessage,
  encodePagemap,
  encodePagemapHead,
  type ImagePiece,
  joinImage,
  type MessageType,
  type Pagemap,
  PE_PRESENT,
} from 'criu-timeline/criu';
import { PAGE_BYTES } from './page-content.ts';

/** CRIU's magics: of all images but the inventory, and of each kind. */
const MAGIC = { common: 0x54564319, inventory: 0x58313116, pstree: 0x50273030, ids: 0x54432030 };

const PID = 4242;
/** Pages of a mapping, and the distance from one to the next. */
const RUN_PAGES = 128;
const RUN_DISTANCE = 160;
const FIRST_ADDRESS = 0x7f6b_0000_0;
const BUFFER_PAGES = 2048;

/** Fills `target` with the pages from number `firstPage` on. */
export type FillPages = (target: Uint8Array, firstPage: number) => void;

/** Writes an image directory at `path`, which must be new, of `pages` pages. */
export function writeImageDirectory(path: string, pages: number, fill: FillPages): void {
  mkdirSync(path, { recursive: true });
  writeSmallImages(path);
  writeFileSync(join(path, `pagemap-${PID}.img`), encodePagemap(pagemapOf(pages)));
  const fd = openSync(join(path, 'pages-1.img'), 'wx', 0o600);
  try {
    const buffer = new Uint8Array(Math.min(pages, BUFFER_PAGES) * PAGE_BYTES);
    for (let page = 0; page < pages; page += BUFFER_PAGES) {
      const part = buffer.subarray(0, Math.min(BUFFER_PAGES, pages - page) * PAGE_BYTES);
      fill(part, page);
      for (let done = 0; done < part.length;) done += writeSync(fd, part, done);
    }
  } finally {
    closeSync(fd);
  }
}

/** Writes an image directory whose memory is `bytes`. */
export function writeMemory(path: string, bytes: Uint8Array): void {
  writeImageDirectory(path, bytes.length / PAGE_BYTES, (target, firstPage) => {
    const start = firstPage * PAGE_BYTES;
    target.set(bytes.subarray(start, start + target.length));
  });
}

function writeSmallImages(path: string): void {
  const inventory = { img_version: 2, fdinfo_per_id: true };
  const tree = { pid: PID, ppid: 0, pgid: PID, sid: PID, threads: [PID] };
  const ids = { vm_id: 1, files_id: 1, fs_id: 1, sighand_id: 1 };
  const { common } = MAGIC;
  writeFileSync(
    join(path, 'inventory.img'),
    imageOf([MAGIC.inventory], 'inventory_entry', inventory),
  );
  writeFileSync(join(path, 'pstree.img'), imageOf([common, MAGIC.pstree], 'pstree_entry', tree));
  writeFileSync(
    join(path, `ids-${PID}.img`),
    imageOf([common, MAGIC.ids], 'task_kobj_ids_entry', ids),
  );
}

/** An image of one message. */
function imageOf(
  magics: readonly number[],
  type: MessageType,
  message: Readonly<Record<string, unknown>>,
): Uint8Array {
  const header = new Uint8Array(magics.length * 4);
  const view = new DataView(header.buffer);
  magics.forEach((magic, i) => view.setUint32(i * 4, magic, true));
  const bytes = encodeMessage(type, message);
  const piece: ImagePiece = { kind: 'message', type, offset: 0, bytes };
  return joinImage({ header, pieces: [piece] });
}

/** Runs of 128 pages, with a gap after each, as mappings have. */
function pagemapOf(pages: number): Pagemap {
  const length = Math.ceil(pages / RUN_PAGES);
  return {
    generation: 'count-in-field-5',
    head: encodePagemapHead(1),
    pagesId: 1,
    starts: Float64Array.from({ length }, (_, run) => FIRST_ADDRESS + run * RUN_DISTANCE),
    counts: Float64Array.from({ length }, (_, run) => Math.min(RUN_PAGES, pages - run * RUN_PAGES)),
    flags: new Uint8Array(length).fill(PE_PRESENT),
  };
}
