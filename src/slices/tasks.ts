/**
 * What can be asked of a thread, and what it answers: the vocabulary between the thread that owns
 * an operation and those that work for it. Only plain data and shared memory.
 */
import type { StoreErrorCode } from '../errors.ts';
import type { ContentSource, ImageDirectory, ParentSnapshot } from '../images/index.ts';
import type { LostFrame } from '../pack/lost-frames.ts';
import type { TreeContents } from '../tree/contents.ts';
import type { SourceNode } from '../tree/entry.ts';
import type { SpaceRuns } from '../tree/tree.ts';
import type { LookoutMemory } from '../upper/lookout.ts';
import type { PlannedFiles } from './plan-files.ts';
import type { SliceHandle } from './slice.ts';

/** A content that a capture reads: of an image, or of all files of a tree. */
export type SessionSource = ContentSource | TreeContents;

/** What the threads need to know before the first task of an operation. */
export interface SessionSetup {
  /** Directory of the packs. */
  readonly packs: string;
  /** Whether nothing that a thread remembers of the packs is to be used. */
  readonly fresh: boolean;
  /** Memory of the table of segments. */
  readonly segments: SharedArrayBuffer;
  /** Of the store: when it is another one, packs may be gone that a thread has open. */
  readonly generation: number;
  /** Bytes of decoded frames that one thread keeps. */
  readonly cacheBytes: number;
  /** Frames that are known to be damaged. */
  readonly lostFrames: readonly LostFrame[];
  /** Whether frames that are known to be damaged are not even tried. */
  readonly refuseLost: boolean;
  /** The contents that a capture reads, by number. */
  readonly sources: readonly SessionSource[];
  /** Memory of the cells for pages, see page-cells.ts; an empty one for none. */
  readonly cells: SharedArrayBuffer;
  /** Path of the base's head, if there is one. */
  readonly head: string | undefined;
}

/** Reads a slice, digests it and compares it with the base. */
export interface ScanRequest {
  readonly slice: SliceHandle;
  /** Number of the content in the setup, and where the slice begins there. */
  readonly source: number;
  readonly offset: number;
  readonly bytes: number;
  /** The pages of the slice that are scanned; those before have been. */
  readonly first: number;
  readonly end: number;
  /** Leaves of the base that the slice has. */
  readonly baseLeaves: number;
}

/** Finds out which new pages of a slice are deltas. */
export interface DiffRequest {
  readonly slice: SliceHandle;
  /** Which of the new pages are compared. */
  readonly first: number;
  readonly end: number;
}

/** A frame that is to be compressed. */
export interface FrameToEncode {
  /** The raw bytes, unless they are pages of a slice, and room for the block behind them. */
  readonly buffer: SharedArrayBuffer;
  readonly rawBytes: number;
  /** The pages of the slice, by their numbers there. */
  readonly pages: Uint16Array | undefined;
}

/** Compresses frames of one type. */
export interface EncodeRequest {
  readonly frames: readonly FrameToEncode[];
  /** Where the pages of frames are. */
  readonly slice: SliceHandle | undefined;
  readonly type: number;
  readonly level: number;
}

/** Reads consecutive leaves of a stored file, checks them, and writes them to a file. */
export interface ReadRequest {
  /** For errors: id of the snapshot, name of the image. */
  readonly snapshot: string;
  readonly image: string;
  /** Where the leaves begin in the file, and how many bytes they cover. */
  readonly offset: number;
  readonly bytes: number;
  /** The runs of pages, counted from the first page of these leaves; see page-runs.ts. */
  readonly end: Float64Array;
  readonly segment: Uint32Array;
  readonly slot: Uint32Array;
  /** 32 bytes each. */
  readonly leaves: Uint8Array;
  /** Descriptor to write to; undefined only checks. */
  readonly fd: number | undefined;
  /** For the pages of a tree's files: the files to write to. */
  readonly contents?: TreeContents | undefined;
  /** Path of that file, for errors. */
  readonly path: string;
  /** Whether pages that are lost become zeros, and their leaves are not checked. */
  readonly partial?: boolean | undefined;
}

/** Reads frames of a pack, and checks the pages in them. */
export interface CheckFramesRequest {
  /** Name of the pack, and the local number of the segment there. */
  readonly pack: string;
  readonly segment: number;
  /** Which of the segment's frame tables, and which of its lines. */
  readonly table: number;
  readonly first: number;
  readonly end: number;
}

/** A frame that is damaged. */
export interface FrameDamage {
  /** Where its block starts. */
  readonly frame: number;
  readonly code: StoreErrorCode;
  readonly summary: string;
  /** Where the damage is, as far as it is known. */
  readonly offset: number;
}

/** Bytes of a stored file that are lost. */
export interface LostBytes {
  readonly offset: number;
  readonly bytes: number;
}

/** Reads an image directory without its pages. */
export interface OpenImagesRequest {
  readonly path: string;
  /** The snapshot that an incremental dump continues. */
  readonly parent: ParentSnapshot | undefined;
}

/** The tree of the base, and where it is read. */
export interface StoredTreeRequest {
  readonly snapshotId: Uint8Array;
  /** For errors. */
  readonly file: string;
  /** The tasks that read it, front to back. */
  readonly requests: readonly ReadRequest[];
  readonly sizeBytes: number;
  /** Where the pages of both spaces lie. */
  readonly treeRuns: SpaceRuns;
  readonly fileRuns: SpaceRuns;
  /** Path of what is remembered of its paths; undefined where none of it is to be trusted. */
  readonly facts: string | undefined;
}

/** Where the container's files come from. */
export type FilesOrigin =
  | {
      readonly kind: 'directory';
      readonly root: string;
      /** Directory of the tree that they go to. */
      readonly prefix: string;
      /** Paths below the root, each byte a character: those left out, and those always read. */
      readonly hostFiles: readonly string[];
      readonly mappedFiles: readonly string[] | undefined;
    }
  | { readonly kind: 'nodes'; readonly nodes: readonly SourceNode[] };

/** Finds out how the container's files are stored. */
export interface PlanFilesRequest {
  readonly from: FilesOrigin;
  readonly base: StoredTreeRequest | undefined;
  /** Where another thread helps to look at files; undefined without one. */
  readonly lookout: LookoutMemory | undefined;
  /** When the capture began, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Whether files may change while they are read. */
  readonly acceptChanges: boolean;
}

/** What every task answers. */
export interface TaskReport {
  /** Frames that were found damaged. */
  readonly lost: readonly LostFrame[];
  readonly framesDecoded: number;
  readonly framesNeeded: number;
}

/** Requests and answers by kind of task. */
export interface Tasks {
  readonly scan: { readonly request: ScanRequest; readonly result: undefined };
  readonly diff: { readonly request: DiffRequest; readonly result: undefined };
  /** Answers with the lengths of the blocks. */
  readonly encode: { readonly request: EncodeRequest; readonly result: readonly number[] };
  /** Answers with the pages that are lost, counted from the first; only with `partial`. */
  readonly read: { readonly request: ReadRequest; readonly result: readonly number[] };
  /** Answers with the frames that are damaged. */
  readonly checkFrames: {
    readonly request: CheckFramesRequest;
    readonly result: readonly FrameDamage[];
  };
  /** Answers with the bytes that cannot be read, or are not those captured. */
  readonly findLost: { readonly request: ReadRequest; readonly result: readonly LostBytes[] };
  /** Reads an image directory without its pages. */
  readonly openImages: { readonly request: OpenImagesRequest; readonly result: ImageDirectory };
  /** Walks the container's files and plans how they are stored. */
  readonly planFiles: { readonly request: PlanFilesRequest; readonly result: PlannedFiles };
  /** Helps the thread that plans to look at files, until that has ended. */
  readonly lookOut: { readonly request: LookoutMemory; readonly result: undefined };
  /** Closes the files of a tree that were written to. */
  readonly closeTargets: { readonly request: undefined; readonly result: undefined };
  /** Closes the contents that a capture read: fails when one of them has changed. */
  readonly closeSources: { readonly request: undefined; readonly result: undefined };
}

/** A kind of task. */
export type TaskKind = keyof Tasks;

/** A kind of task that is done in one go, in a few milliseconds. */
export type StepKind = Exclude<TaskKind, 'openImages' | 'planFiles' | 'lookOut'>;
