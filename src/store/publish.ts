/**
 * Publishes the pack of a capture. The order is the promise:
 *
 * 1. the pack is complete in staging, and fsynced
 * 2. it is read back: header, trailer, footer, frame tables, digests and manifest decode
 * 3. packs/xx/ is made if need be and packs/ fsynced; the pack is renamed into packs/xx/, which is
 *    fsynced
 * 4. its segment's run goes into index/ (ignored until the commit, and not needed for it)
 * 5. one transaction of the catalog: the commit point
 *
 * A failure before 5 leaves nothing but files in staging, or a pack that no catalog knows, which
 * is taken away again when it is certain that the commit did not happen.
 */
import { StoreError, storageError } from '../errors.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import { exists, syncDirectory } from '../files/transfer.ts';
import { openPack } from '../pack/pack-set.ts';
import type { FinishedPack } from '../pack/writer.ts';
import type { CaptureToCommit } from '../catalog/catalog.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import type { StoreContext } from './context.ts';
import { writeRun } from './index-write.ts';
import { Pacer } from './clock.ts';

/** A sealed pack in staging, and what the catalog is to say of it. */
export interface StagedCapture {
  readonly path: string;
  readonly pack: FinishedPack;
  readonly segment: CaptureToCommit['segment'];
  readonly snapshot: CaptureToCommit['snapshot'];
}

/**
 * Puts a sealed pack in its place, and lets `commit` make it part of the store; a pack that was not
 * committed is taken away again.
 *
 * @param isCommitted whether the catalog has what was to be committed, after a failure.
 */
export async function publishPack<T>(
  context: StoreContext,
  staged: {
    readonly path: string;
    readonly name: string;
    readonly manifests: readonly Uint8Array[];
  },
  commit: () => Promise<T>,
  isCommitted: () => boolean,
): Promise<T> {
  await verifyStaged(context, staged.path, staged.manifests, new Pacer(undefined));
  try {
    movePack(context, staged.path, staged.name);
    return await commit();
  } catch (error) {
    if (!isCommitUncertain(error)) takeBack(context, staged.name, undefined, isCommitted);
    throw error;
  }
}

/** Makes a capture part of the store. */
export async function publish(
  context: StoreContext,
  staged: StagedCapture,
  signal: AbortSignal | undefined,
): Promise<SnapshotRow> {
  const { pack, segment, snapshot } = staged;
  const { name } = pack;
  const pacer = new Pacer(signal);
  await verifyStaged(context, staged.path, [snapshot.manifestDigest], pacer);
  await pacer.pause();
  let run: string | undefined;
  try {
    movePack(context, staged.path, name);
    await pacer.pause();
    run = await writeRun(context, { identity: segment.identity, packName: name, local: 0 }, signal);
    return await context.catalog.commitCapture({ pack, segment, snapshot }, signal);
  } catch (error) {
    const isCommitted = () => context.catalog.snapshots.byId(snapshot.id) !== undefined;
    if (!isCommitUncertain(error)) takeBack(context, name, run, isCommitted);
    throw error;
  }
}

/** After an I/O error in a commit, recovery may find it made: the pack must stay for that. */
function isCommitUncertain(error: unknown): boolean {
  const cause = error instanceof StoreError ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code.startsWith('SQLITE_IOERR');
}

/** Decodes every table of the pack as a reader will, before anything is promised. */
async function verifyStaged(
  context: StoreContext,
  path: string,
  manifests: readonly Uint8Array[],
  pacer: Pacer,
): Promise<void> {
  const descriptors = new DescriptorPool(context.files, 1);
  try {
    const reader = openPack(context.files, descriptors, context.zstd, path);
    for (const segment of reader.footer.references.keys()) {
      reader.frameTables(segment);
      await pacer.pause();
    }
    for (const _ of reader.digestBlocks.steps()) await pacer.pause();
    reader.readStates();
    for (const digest of manifests) {
      reader.readManifest(digest);
      await pacer.pause();
    }
  } finally {
    descriptors.close();
  }
}

function movePack(context: StoreContext, staged: string, name: string): void {
  const { files, layout } = context;
  const directory = layout.packDirectory(name);
  try {
    if (!exists(files, directory)) makeDirectory(context, directory);
    // Even when it is not new: whoever made it may have died before this sync.
    syncDirectory(files, layout.packs);
    files.rename(staged, layout.packFile(name));
    syncDirectory(files, directory);
    context.packFacts.remember(name, files.lstat(layout.packFile(name)));
  } catch (error) {
    throw storageError('publish the pack', layout.packFile(name), error);
  }
}

function makeDirectory(context: StoreContext, directory: string): void {
  try {
    context.files.mkdir(directory, 0o700);
  } catch (error) {
    // Another process may have been faster.
    if (!exists(context.files, directory)) throw error;
  }
}

/** Removes a pack that was not committed; when that is not certain, it stays, for repair. */
function takeBack(
  context: StoreContext,
  name: string,
  run: string | undefined,
  isCommitted: () => boolean,
): void {
  try {
    if (isCommitted()) return;
    context.packs.forget(name);
    for (const path of [context.layout.packFile(name), run]) {
      if (path !== undefined && exists(context.files, path)) context.files.unlink(path);
    }
  } catch {
    // The first error is the one to report; an unknown pack harms nobody.
  }
}
