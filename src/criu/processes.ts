/**
 * The processes of a dump, for people to look at: a pstree joined with cores, mm and files images.
 *
 * Only the pstree must be there. What another image would add is left undefined when the image is
 * missing (a pre-dump has none of them), but an image that is there and damaged is an error.
 */
import { StoreError } from '../errors.ts';
import { readFilePaths, readMessages, type ReadImage } from './read-messages.ts';
import type { CriuMessage } from './schema.ts';

/** What a process was doing when it was dumped. */
export type ProcessState = 'alive' | 'dead' | 'stopped' | 'zombie' | 'unknown';

/** One process of a dump. Ids are those of the dumped pid namespace. */
export interface ProcessDescription {
  readonly pid: number;
  /** 0 for the root of the tree. */
  readonly parentPid: number;
  readonly groupId: number;
  readonly sessionId: number;
  /** Ids of all threads, the main one included. */
  readonly threadIds: readonly number[];
  /** The name that the kernel shows, at most 15 bytes; bytes that are not UTF-8 are replaced. */
  readonly command: string | undefined;
  /** Path of the program, where the images tell. */
  readonly executable: string | undefined;
  readonly state: ProcessState;
  /** CRIU's name of the processor architecture. */
  readonly architecture: string | undefined;
}

const STATES: ReadonlyMap<unknown, ProcessState> = new Map([
  [1, 'alive'],
  [2, 'dead'],
  [3, 'stopped'],
  [6, 'zombie'],
]);

const ARCHITECTURES: ReadonlyMap<unknown, string> = new Map([
  [1, 'X86_64'],
  [2, 'ARM'],
  [3, 'AARCH64'],
  [4, 'PPC64'],
  [5, 'S390'],
  [6, 'MIPS'],
  [7, 'LOONGARCH64'],
  [8, 'RISCV64'],
]);

/**
 * Describes the processes of a dump in the order of its pstree, parents before children.
 *
 * @throws {StoreError} INVALID_IMAGE when there is no pstree, or an image is damaged.
 */
export function describeProcesses(readImage: ReadImage): readonly ProcessDescription[] {
  const tree = readMessages(readImage, 'pstree.img', 'PSTREE');
  if (tree === undefined) throw new StoreError('INVALID_IMAGE', 'the dump has no pstree.img');
  const paths = readPaths(readImage);
  return tree.map((entry) => describeProcess(readImage, entry, paths));
}

function describeProcess(
  readImage: ReadImage,
  entry: CriuMessage,
  paths: ReadonlyMap<unknown, string>,
): ProcessDescription {
  const pid = entry['pid'] as number;
  const core = readMessages(readImage, `core-${pid}.img`, 'CORE')?.[0];
  const mm = readMessages(readImage, `mm-${pid}.img`, 'MM')?.[0];
  const task = core?.['tc'] as CriuMessage | undefined;
  return {
    pid,
    parentPid: entry['ppid'] as number,
    groupId: entry['pgid'] as number,
    sessionId: entry['sid'] as number,
    threadIds: (entry['threads'] ?? []) as readonly number[],
    command: textOf(task?.['comm']),
    executable: paths.get(mm?.['exe_file_id']),
    state: STATES.get(task?.['task_state']) ?? 'unknown',
    architecture: ARCHITECTURES.get(core?.['mtype']),
  };
}

function readPaths(readImage: ReadImage): ReadonlyMap<unknown, string> {
  const paths = readFilePaths(readImage);
  return new Map([...paths].map(([id, path]) => [id, textOf(path) as string]));
}

function textOf(bytes: unknown): string | undefined {
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : undefined;
}
