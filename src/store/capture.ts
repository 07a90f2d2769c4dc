/**
 * Capture: an image directory, and perhaps the container's files, become a snapshot. The order of
 * the steps is the promise: the timeline's lock, validation of everything before a page is read,
 * then the capture itself, again where damage or a changing file was met on the way.
 */
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, StoreError } from '../errors.ts';
import type { ImageDirectory } from '../images/index.ts';
import { MAX_TEXT_BYTES } from '../manifest/manifest.ts';
import type { FilesOrigin } from '../slices/tasks.ts';
import { directoryOrigin, openFiles, type CapturedFiles } from './capture-files.ts';
import { openSource } from './capture-images.ts';
import { captureOnce, type CaptureSubject } from './capture-once.ts';
import { checkSource, type CaptureSource } from './capture-source.ts';
import { now, Pacer } from './clock.ts';
import { writableStaging, type OperationOptions, type StoreContext } from './context.ts';
import { refreshIndex } from './index-refresh.ts';
import { loadLostFrames } from './lost-frames.ts';
import { lockTimeline } from './locks.ts';

/**
 * Captures into a timeline and returns the row of the new snapshot.
 *
 * @param archived where the files of an archive are, if it is one that is captured.
 */
export async function capture(
  context: StoreContext,
  timeline: string,
  source: CaptureSource,
  options: OperationOptions,
  archived?: FilesOrigin,
): Promise<SnapshotRow> {
  const checked = checkSource(source);
  writableStaging(context);
  const pacer = new Pacer(options.signal);
  const lock = await lockTimeline(context, timeline, options.signal);
  try {
    loadLostFrames(context);
    context.segments.refresh();
    const { images, parent, base } = await openSource(context, timeline, source, pacer);
    checkRunId(images);
    await pacer.pause();
    await refreshIndex(context, pacer);
    const { takenAtMs, labels } = checked;
    const head = { timeline, takenAtMs, labels, images, parent, base };
    const origin =
      source.files === undefined
        ? archived
        : directoryOrigin(context, source.files, checked, images);
    const acceptChanges = source.acceptChanges ?? false;
    return await captureWhole(context, { ...head, origin, acceptChanges }, pacer, options);
  } finally {
    lock.release();
  }
}

/** Damage that is found on the way, or a file that changes, begins the capture again: at most. */
const MAX_ATTEMPTS = 4;

/** Captures so that nothing stands on what is known to be lost in the end. */
async function captureWhole(
  context: StoreContext,
  subject: CaptureSubject,
  pacer: Pacer,
  options: OperationOptions,
): Promise<SnapshotRow> {
  const { base } = subject;
  let isTrusting = base?.hasChanged !== true;
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt === MAX_ATTEMPTS;
    // Files that are not read are never found to be lost.
    isTrusting &&= context.packs.lostFrames.isEmpty;
    try {
      const files = await attemptFiles(context, subject, { isTrusting, isLast });
      const entries = [...subject.images.entries, ...(files?.entries ?? [])];
      const head = { ...subject, files, entries };
      const row = await captureOnce(context, head, isLast, pacer, options);
      if (row !== undefined) return row;
    } catch (error) {
      const canTryAgain = hasFileChanged(error, subject.origin) || (isTrusting && isDamage(error));
      if (isLast || subject.origin === undefined || !canTryAgain) throw error;
      isTrusting &&= !isDamage(error);
    }
    await pacer.pause();
  }
}

async function attemptFiles(
  context: StoreContext,
  { origin, base, acceptChanges }: CaptureSubject,
  { isTrusting, isLast }: { readonly isTrusting: boolean; readonly isLast: boolean },
): Promise<CapturedFiles | undefined> {
  if (origin === undefined) return undefined;
  const accepts = acceptChanges && isLast;
  const request = { origin, base, startedAtMs: now(), acceptChanges: accepts, isTrusting };
  return await openFiles(context, request);
}

/** Whether an error is about one of the container's files. */
function hasFileChanged(error: unknown, origin: FilesOrigin | undefined): boolean {
  if (!(error instanceof StoreError) || error.code !== 'INCOMPLETE') return false;
  return origin?.kind === 'directory' && error.file?.startsWith(origin.root) === true;
}

/** CRIU's are 36 characters. */
function checkRunId(images: ImageDirectory): void {
  if (Buffer.byteLength(images.criuRunId ?? '') <= MAX_TEXT_BYTES) return;
  const message = `CRIU run id of more than ${MAX_TEXT_BYTES} bytes`;
  throw new StoreError('INVALID_IMAGE', message, { file: `${images.path}/inventory.img` });
}
