/**
 * A mount point that is being filled, closed to everybody but the caller: its root may have been
 * writable for all, and whoever can put a link or a directory in the way there could choose what
 * the restore writes, and where.
 *
 * Who has the directory open already gets no further than who has not: rights are asked for again
 * at each name.
 */
import { StoreError } from '../errors.ts';
import type { Files, NodeFacts } from '../files/files.ts';

const PRIVATE = 0o700;
/** What a new file system is made with. */
export const LOST_AND_FOUND = 'lost+found';

/** A mount point that the caller fills. */
export class PrivateMount {
  readonly #files: Files;
  readonly #path: string;
  /** What it was. */
  readonly #before: NodeFacts;

  private constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
    this.#before = files.inspect(path);
  }

  /**
   * Makes an empty directory private.
   *
   * @throws StoreError EXISTS when something came to be in it meanwhile; system errors.
   */
  static open(files: Files, path: string): PrivateMount {
    const mount = new PrivateMount(files, path);
    try {
      mount.makePrivate();
      if (mount.names().length === 0) return mount;
      throw new StoreError('EXISTS', 'the target is not empty', { file: path });
    } catch (error) {
      mount.#giveBackQuietly();
      throw error;
    }
  }

  /** What is in it, but for what a new file system is made with. */
  names(): Buffer[] {
    const names = this.#files.list(this.#path);
    return names.filter((name) => name.toString() !== LOST_AND_FOUND);
  }

  /** Makes it the caller's alone. */
  makePrivate(): void {
    this.#change((fd) => {
      const { uid, gid } = this.#files.inspectOpen(fd);
      const own = process.geteuid?.() ?? uid;
      // The owner first: another one could give the rights back.
      if (uid !== own) this.#files.setOwner(inside(fd), own, gid);
      this.#files.chmod(fd, PRIVATE);
    });
  }

  /** Gives it the owner and mode that it had, and syncs it if that is asked for. */
  giveBack(sync: boolean): void {
    const { uid, gid, mode } = this.#before;
    this.#change((fd) => {
      const now = this.#files.inspectOpen(fd);
      if (now.uid !== uid || now.gid !== gid) this.#files.setOwner(inside(fd), uid, gid);
      this.#files.chmod(fd, mode);
      if (sync) this.#files.sync(fd);
    });
  }

  /** The error that came before is the one to report. */
  #giveBackQuietly(): void {
    try {
      this.giveBack(false);
    } catch {
      // See above.
    }
  }

  #change(action: (fd: number) => void): void {
    const fd = this.#files.open(this.#path, 'subdirectory');
    try {
      const { inode, device } = this.#files.stat(fd);
      const isSame = inode === this.#before.inode && device === this.#before.device;
      if (!isSame)
        throw new StoreError('EXISTS', 'another directory took its place', {
          file: this.#path,
        });
      action(fd);
    } finally {
      this.#files.close(fd);
    }
  }
}

/** A path to an open directory, and not to what may have its name by now. */
function inside(fd: number): string {
  return `/proc/self/fd/${fd}/.`;
}
