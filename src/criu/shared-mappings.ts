/**
 * The files that the processes of a dump have mapped shared and writable: what is stored there
 * changes the file, without a system call and without a trace in its times until the page has been
 * written back.
 */
import type { CriuMessage } from './schema.ts';
import { readFilePaths, readMessages, type ReadImage } from './read-messages.ts';

/** Bits of mmap(2): PROT_WRITE, MAP_SHARED. */
const WRITABLE = 0x2;
const SHARED = 0x1;
/** CRIU's mark of a shared mapping of a file, whose `shmid` is then the id of the file. */
const SHARED_FILE = 1 << 7;

/**
 * Paths of those files in the container, raw bytes, each once.
 *
 * @throws {StoreError} INVALID_IMAGE when an image is damaged.
 */
export function sharedMappings(readImage: ReadImage): readonly Uint8Array[] {
  const tree = readMessages(readImage, 'pstree.img', 'PSTREE') ?? [];
  const ids = new Set<number>();
  for (const { pid } of tree) {
    const [mm] = readMessages(readImage, `mm-${String(pid)}.img`, 'MM') ?? [];
    for (const vma of (mm?.['vmas'] ?? []) as readonly CriuMessage[]) {
      const isWritable = (Number(vma['prot']) & WRITABLE) !== 0;
      const isShared = (Number(vma['flags']) & SHARED) !== 0;
      const isFile = (Number(vma['status']) & SHARED_FILE) !== 0;
      if (isWritable && isShared && isFile) ids.add(Number(vma['shmid']));
    }
  }
  if (ids.size === 0) return [];
  const paths = readFilePaths(readImage);
  return [...ids].flatMap((id) => paths.get(id) ?? []);
}
