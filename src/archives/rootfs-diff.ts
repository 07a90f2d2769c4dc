/**
 * Takes the tar of the container's files apart, which is a member of the archive: nodes below
 * `files/`, and a layout. Contents stay where the tar lies, or its decompressed copy.
 */
import type { Files } from '../files/files.ts';
import { type Compression, decompress } from './compression.ts';
import type { LimitCounter } from './limits.ts';
import { MemberNames } from './member-names.ts';
import { MemberFile, SpillFile, spilledChunks } from './spill.ts';
import { memberNode, type TreeBuilder } from './tree-builder.ts';
import type { TarMember } from './tar-member.ts';
import { type TarEvents, TarSplitter } from './tar-splitter.ts';
import { below, FILES_DIRECTORY } from './tree-path.ts';
import { applyWhiteouts, isWhiteoutName, readWhiteout, type Whiteout } from './whiteouts.ts';

/** A spilled `rootfs-diff.tar`, and where its parts go. */
export interface DiffSource {
  readonly files: Files;
  /** For errors. */
  readonly file: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Where the tar is to lie if this one is compressed. */
  readonly unpackedPath: string;
  readonly layoutPath: string;
  /** What `deleted.files` lists; undefined where there is none. */
  readonly deleted: readonly Whiteout[] | undefined;
  readonly counter: LimitCounter;
  readonly signal: AbortSignal | undefined;
}

/** What is known once it is taken apart. */
export interface SplitDiff {
  readonly compression: Compression;
  readonly layoutBytes: number;
}

/**
 * Whether names with `.wh.` are whiteouts: compressed, it is an OCI layer, as containerd writes
 * them; engines that write a plain tar list what was deleted, and know no such names.
 */
export function isLayer(compression: Compression, hasDeletedFiles: boolean): boolean {
  return compression !== 'none' && !hasDeletedFiles;
}

/** Adds the container's files to a tree. */
export async function splitRootfsDiff(source: DiffSource, tree: TreeBuilder): Promise<SplitDiff> {
  const { files, file, path, counter, signal, deleted } = source;
  let isCompressed = false;
  const { compression, chunks } = await decompress(spilledChunks(files, path), {
    file,
    signal,
    onOutput: (count) => {
      if (isCompressed) counter.addUnpacked(count);
    },
  });
  isCompressed = compression !== 'none';
  const layout = new SpillFile(files, source.layoutPath);
  let copy: MemberFile | undefined;
  try {
    if (isCompressed) copy = new MemberFile(files, source.unpackedPath);
    const collector = new DiffCollector(source, tree, {
      contentPath: isCompressed ? source.unpackedPath : path,
      isLayer: isLayer(compression, deleted !== undefined),
      layout,
    });
    const sizeBytes = isCompressed ? undefined : source.sizeBytes;
    const splitter = new TarSplitter(collector, { file, contents: 'present', sizeBytes });
    for await (const chunk of chunks) {
      copy?.write(chunk);
      splitter.push(chunk);
    }
    splitter.end();
    layout.flush();
    applyWhiteouts(tree, [...(deleted ?? []), ...collector.whiteouts], counter);
  } finally {
    copy?.close();
    layout.close();
    await chunks.return();
  }
  return { compression, layoutBytes: layout.sizeBytes };
}

interface DiffForm {
  readonly contentPath: string;
  readonly isLayer: boolean;
  readonly layout: SpillFile;
}

class DiffCollector implements TarEvents {
  /** What layers say by names. */
  readonly whiteouts: Whiteout[] = [];
  readonly #tree: TreeBuilder;
  readonly #form: DiffForm;
  readonly #names: MemberNames;
  readonly #counter: LimitCounter;

  constructor({ file, counter }: DiffSource, tree: TreeBuilder, form: DiffForm) {
    this.#tree = tree;
    this.#form = form;
    this.#counter = counter;
    this.#names = new MemberNames(file, FILES_DIRECTORY, counter);
  }

  member(member: TarMember, headers: Uint8Array): void {
    this.#counter.checkMember(member.sizeBytes);
    this.#form.layout.write(headers);
    const path = this.#names.add(member);
    if (this.#form.isLayer && isWhiteoutName(path)) {
      this.#addWhiteout(path, member);
      return;
    }
    const target = this.#targetOf(member);
    // Contents follow their headers at once.
    const offset = member.offset + headers.length;
    const content = member.kind === 'file' ? { path: this.#form.contentPath, offset } : undefined;
    this.#tree.put(memberNode(below(FILES_DIRECTORY, path), member, target, content));
  }

  content(): void {
    // It lies where it is.
  }

  memberEnd(padding: Uint8Array): void {
    this.#form.layout.write(padding);
  }

  rest(bytes: Uint8Array): void {
    this.#form.layout.write(bytes);
  }

  #addWhiteout(path: Uint8Array, member: TarMember): void {
    try {
      this.whiteouts.push(readWhiteout(path, member));
    } catch (error) {
      throw this.#names.fail(member, (error as Error).message);
    }
  }

  #targetOf(member: TarMember): Uint8Array | undefined {
    if (member.kind !== 'hard') return member.target;
    const path = this.#names.hardTarget(member);
    if (this.#form.isLayer && isWhiteoutName(path)) {
      throw this.#names.fail(member, 'is a hard link to a whiteout');
    }
    return below(FILES_DIRECTORY, path);
  }
}
