/**
 * Spills the members of an archive while they stream by: images into a directory, the tar of the
 * container's files into a file of its own, everything else, and the layout, into one file each.
 */
import type { Files } from '../files/files.ts';
import { StoreError } from '../errors.ts';
import { IMAGE_DEPTH_MAX, type LimitCounter } from './limits.ts';
import { MemberNames } from './member-names.ts';
import { latin1 } from './pax.ts';
import { MemberFile, SpillFile } from './spill.ts';
import type { TarMember } from './tar-member.ts';
import type { TarEvents } from './tar-splitter.ts';
import type { SourceNode, SourcePlace } from '../tree/entry.ts';
import { memberNode, type TreeBuilder } from './tree-builder.ts';
import {
  below,
  DIFF_MEMBER,
  imageName,
  type ImagesMember,
  MEMBERS_DIRECTORY,
  parentPath,
} from './tree-path.ts';

/** Where an archive is unpacked. */
export interface SpillTarget {
  readonly files: Files;
  /** For errors. */
  readonly file: string;
  readonly staging: string;
  readonly counter: LimitCounter;
}

/** A member with a file of its own. */
export interface SpilledMember {
  readonly path: string;
  readonly member: TarMember;
}

/** The members of an archive, as far as they have come. */
export class OuterMembers implements TarEvents {
  /** First parts of the paths of all members, and whole ones. */
  readonly seen: Set<string> = new Set();
  readonly imagesDirectory: string;
  /** Which image directory was there. */
  images: ImagesMember | undefined;
  /** What the `parent` link in it says. */
  parentLink: Uint8Array | undefined;
  rootfsDiff: SpilledMember | undefined;
  readonly #target: SpillTarget;
  readonly #tree: TreeBuilder;
  readonly #names: MemberNames;
  readonly #layout: SpillFile;
  readonly #contents: SpillFile;
  readonly #madeDirectories = new Set<string>();
  /** Members that are directories; nodes only once something is in them. */
  readonly #directories = new Map<string, SourceNode>();
  /** Where the content goes that comes next. */
  #output: SpillFile | MemberFile | undefined;

  constructor(target: SpillTarget, tree: TreeBuilder) {
    this.#target = target;
    this.#tree = tree;
    const { files, file, staging, counter } = target;
    this.#names = new MemberNames(file, MEMBERS_DIRECTORY, counter);
    this.imagesDirectory = `${staging}/images`;
    this.#layout = new SpillFile(files, `${staging}/layout`);
    this.#contents = new SpillFile(files, `${staging}/members`);
  }

  /** Where the layout lies, and how long it is. */
  get layout(): { readonly place: SourcePlace; readonly sizeBytes: number } {
    const { path, sizeBytes } = this.#layout;
    return { place: { path, offset: 0 }, sizeBytes };
  }

  member(member: TarMember, headers: Uint8Array): void {
    const { counter } = this.#target;
    counter.checkMember(member.sizeBytes);
    const path = this.#names.add(member);
    const key = latin1(path);
    this.seen.add(key).add(key.split('/', 1)[0]!);
    this.#layout.write(headers);
    const image = imageName(key);
    if (image !== undefined && (member.kind !== 'file' || image.name !== '')) {
      this.#beginImage(member, image);
    } else if (member.kind === 'file') {
      this.#beginMember(path, member);
    } else if (member.kind === 'directory') {
      const node = memberNode(below(MEMBERS_DIRECTORY, path), member, undefined);
      this.#directories.set(key, node);
      if (this.#tree.get(node.path) !== undefined) this.#tree.put(node);
    } else {
      throw this.#unexpected(member);
    }
  }

  content(bytes: Uint8Array): void {
    this.#output?.write(bytes);
  }

  memberEnd(padding: Uint8Array): void {
    this.#layout.write(padding);
    if (this.#output instanceof MemberFile) this.#output.close();
    this.#output = undefined;
  }

  rest(bytes: Uint8Array): void {
    this.#layout.write(bytes);
  }

  /** Puts bytes of our own among the members. */
  addContent(bytes: Uint8Array): SourcePlace {
    const { place } = this.#contents;
    this.#contents.write(bytes);
    this.#contents.flush();
    return place;
  }

  /** Makes everything readable for others. */
  flush(): void {
    this.#layout.flush();
    this.#contents.flush();
  }

  /** Closes all files. */
  close(): void {
    if (this.#output instanceof MemberFile) this.#output.close();
    this.#layout.close();
    this.#contents.close();
  }

  #beginMember(path: Uint8Array, member: TarMember): void {
    if (latin1(path) === DIFF_MEMBER) {
      const spilled = `${this.#target.staging}/rootfs-diff`;
      this.#output = new MemberFile(this.#target.files, spilled);
      this.rootfsDiff = { path: spilled, member };
      return;
    }
    for (let above = parentPath(path); above.length > 0; above = parentPath(above)) {
      const directory = this.#directories.get(latin1(above));
      if (directory !== undefined) this.#tree.put(directory);
    }
    const { place } = this.#contents;
    this.#tree.put(memberNode(below(MEMBERS_DIRECTORY, path), member, undefined, place));
    this.#output = this.#contents;
  }

  #beginImage(member: TarMember, image: { member: ImagesMember; name: string }): void {
    if (this.images !== undefined && this.images !== image.member) {
      const message = 'the archive has both a checkpoint and a pre-checkpoint';
      throw new StoreError('INVALID_IMAGE', message, { file: this.#target.file });
    }
    this.images = image.member;
    const { name } = image;
    if (member.kind === 'directory') {
      this.#makeDirectories(name, member);
      this.#target.files.setMode(this.#imagePath(name), (member.mode & PERMISSIONS) | ENTERED);
    } else if (member.kind === 'file') {
      this.#makeDirectories(name.slice(0, Math.max(0, name.lastIndexOf('/'))), member);
      const mode = (member.mode & PERMISSIONS) | READ;
      this.#output = new MemberFile(this.#target.files, this.#imagePath(name), mode);
    } else if (member.kind === 'link' && name === 'parent') {
      this.parentLink = member.target;
    } else {
      throw this.#unexpected(member);
    }
  }

  #unexpected(member: TarMember): StoreError {
    const what = member.kind === 'hard' ? 'hard link' : member.kind;
    return this.#names.fail(member, `is a ${what}, which is not expected here`);
  }

  #makeDirectories(name: string, member: TarMember): void {
    if (this.#madeDirectories.has(name)) return;
    if (name !== '') {
      if (name.split('/').length > IMAGE_DEPTH_MAX) {
        throw this.#names.fail(member, `is more than ${IMAGE_DEPTH_MAX} directories deep`);
      }
      this.#makeDirectories(name.slice(0, Math.max(0, name.lastIndexOf('/'))), member);
    }
    this.#target.files.mkdir(this.#imagePath(name));
    this.#madeDirectories.add(name);
  }

  #imagePath(name: string): Buffer {
    const directory = Buffer.from(this.imagesDirectory);
    return name === '' ? directory : Buffer.concat([directory, SLASH, Buffer.from(name, 'latin1')]);
  }
}

const SLASH = Buffer.from('/');
const PERMISSIONS = 0o777;
/** What the owner needs, who reads images after this: podman's directory may not be entered. */
const ENTERED = 0o700;
const READ = 0o400;
