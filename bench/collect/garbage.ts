/**
 * Timelines that keep a collection busy: every snapshot lacks some pages of the one before, a few
 * of each frame, so that whoever removes the oldest one and collects writes all frames once more.
 */
import { writeImageDirectory } from '../generate/image-directory.ts';
import { fillPages, PAGE_BYTES } from '../generate/page-content.ts';
import { growTimeline } from '../scale/growth.ts';

/** How many such timelines, of how many snapshots and pages. */
export interface Garbage {
  readonly timelines: number;
  readonly snapshots: number;
  readonly pages: number;
}

/** Whether a page is gone in the snapshot with this number, which counts from 0. */
export function isGone(page: number, snapshot: number, snapshots: number): boolean {
  return page % snapshots < snapshot;
}

/** Captures all of them into a store. */
export async function growGarbage(
  store: string,
  work: string,
  { timelines, snapshots, pages }: Garbage,
): Promise<void> {
  for (let number = 0; number < timelines; number++) {
    let snapshot = 0;
    const write = (path: string): void => {
      const gone = snapshot++;
      writeImageDirectory(path, pages, (target, firstPage) => {
        fillPages(target, firstPage, 300 + number);
        for (let offset = 0; offset < target.length; offset += PAGE_BYTES) {
          // Zero pages take no room.
          if (isGone(firstPage + offset / PAGE_BYTES, gone, snapshots)) {
            target.fill(0, offset, offset + PAGE_BYTES);
          }
        }
      });
    };
    await growTimeline({ store, work, timeline: nameOf(number), count: snapshots, write });
  }
}

/** The snapshots in the order to remove them: all but the last of each timeline. */
export function removalsOf({ timelines, snapshots }: Garbage): string[] {
  return Array.from({ length: timelines }, (_, number) =>
    Array.from({ length: snapshots - 1 }, (_, i) => `${nameOf(number)}@${i + 1}`),
  ).flat();
}

function nameOf(number: number): string {
  return `garbage-${number}`;
}
