/**
 * Plans how a tree is stored: merges its paths with those of the base's tree, both in the same
 * order, and says what is the same, what is read, and at which addresses everything lies. Nothing
 * is read here but what the source is asked for.
 *
 * What has not changed costs a comparison, and the copying of its record where its neighbours have:
 * no file is opened, and of its content only the addresses stay. Memory: the records themselves,
 * and some 100 bytes for each path that is read.
 */
import { pagesOf } from '../bytes/page.ts';
import { StoreError } from '../errors.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { AddressSpace } from './addresses.ts';
import {
  encodeBody,
  NO_EXTENTS,
  sumOf,
  type PageExtents,
  type TreeBody,
  whyUnstorable,
} from './body.ts';
import { NumberColumn, shareNumbers } from './columns.ts';
import { ContentTable, type ContentPlace, type TreeContents } from './contents.ts';
import { cutPieces } from './cut-pieces.ts';
import type { TreeNode } from './entry.ts';
import { KeptBlocks } from './kept-blocks.ts';
import {
  PathFactsBuilder,
  type FactWords,
  type PathFacts,
  type StoredFacts,
} from './path-facts.ts';
import { placeBlocks, type InheritedRuns, type PlacedTree } from './place-blocks.ts';
import { inOrder, orderOf, pagesAt, subtract, unite, type Pieces } from './runs.ts';
import type { SpaceRuns, StoredTree, TreeCursor } from './tree.ts';

/** A path that is to be stored; looked at before the next one is asked for. */
export interface PlanStep {
  /** Not asked for where the base has it unchanged. */
  readonly path: Uint8Array;
  /** Undefined where it cannot be known whether it has changed. */
  readonly facts: PathFacts | undefined;
  /** Whether its facts are to be trusted the next time as well. */
  readonly isSettled: boolean;
  /** Whether another path may be the same file: then what it is called must be found out anew. */
  readonly hasOtherNames: boolean;
  /** Compares `path` with this one in the order of a tree: less than 0 when it is before it. */
  compare(path: Uint8Array): number;
  /** All about it; undefined for what is not to be stored after all. */
  read(): TreeNode | undefined;
  /** Where its content is; called for files only. */
  content(): ContentPlace;
}

/** The tree of the snapshot that is continued. */
export interface PlanBase {
  readonly tree: StoredTree;
  readonly treeRuns: SpaceRuns;
  /** Runs of the space `files`. */
  readonly fileRuns: SpaceRuns;
  readonly facts: StoredFacts | undefined;
}

/** How a tree is stored. */
export interface TreePlan {
  readonly tree: PlacedTree;
  /** Runs of the tree's own pages that are those of the base. */
  readonly treeInherited: InheritedRuns;
  /** The space `files`. */
  readonly runs: SpaceRuns;
  readonly pageCount: number;
  /** Runs of its pages that are those of the base. */
  readonly inherited: InheritedRuns;
  readonly contents: Pick<
    TreeContents,
    | 'page'
    | 'pages'
    | 'file'
    | 'offsetBytes'
    | 'names'
    | 'nameEnd'
    | 'fileOffset'
    | 'fileBytes'
    | 'facts'
  >;
  readonly facts: Uint8Array;
  /** Paths of the tree, and those of them whose content is read. */
  readonly pathCount: number;
  readonly readCount: number;
}

/** Names in one directory, in their order, that have been looked at. */
export interface PathRun {
  /** The directory with '/' at its end, and the names in it; latin1, one character a byte. */
  readonly directory: string;
  readonly names: readonly string[];
  /** Which of the names: from this one on, up to this one. */
  readonly first: number;
  readonly end: number;
  /**
   * The facts about one of them, valid until the next is asked for; undefined where more than that
   * must be known to say that it is the same.
   */
  readonly facts: (name: number) => FactWords | undefined;
}

/** Passes over names as long as they are the next ones of the base, unchanged; returns how many. */
export type PassOver = (run: PathRun) => number;

/** Plans a tree. The steps may be told to leave out what is passed over. */
export function planTree(
  steps: Iterable<PlanStep> | ((passOver: PassOver) => Iterable<PlanStep>),
  base: PlanBase | undefined,
): TreePlan {
  const plan = new Plan(base);
  const all = typeof steps === 'function' ? steps((run) => plan.passOver(run)) : steps;
  for (const step of all) plan.add(step);
  return plan.finish();
}

class Plan {
  readonly #base: PlanBase | undefined;
  readonly #cursor: TreeCursor | undefined;
  #hasBase: boolean;
  readonly #addresses: AddressSpace;
  readonly #blocks: KeptBlocks;
  readonly #contents = new ContentTable();
  readonly #facts = new PathFactsBuilder();
  /** What the base has and this tree has not, or has to be read again. */
  readonly #gone = { start: new NumberColumn(), length: new NumberColumn() };
  /** What is read: where it lies, and what it is. */
  readonly #read = {
    start: new NumberColumn(),
    length: new NumberColumn(),
    file: new NumberColumn(),
    offset: new NumberColumn(),
  };
  readonly #body = new ByteWriter(1024);
  #paths = 0;

  constructor(base: PlanBase | undefined) {
    this.#base = base;
    this.#blocks = new KeptBlocks(base?.tree);
    this.#cursor = base?.tree.cursor();
    this.#hasBase = this.#cursor?.next() ?? false;
    this.#addresses = new AddressSpace(base?.fileRuns);
  }

  add(step: PlanStep): void {
    const isInBase = this.#advanceTo(step);
    const isUnchanged = isInBase && this.#isUnchanged(step);
    if (isUnchanged && !step.hasOtherNames) {
      this.#remember(step);
      this.#blocks.keep(this.#cursor as TreeCursor);
      this.#next();
      return;
    }
    const node = step.read();
    // What the base has of it is left behind by the next step.
    if (node === undefined) return;
    checkStorable(node);
    const old = isInBase ? (this.#cursor as TreeCursor).body : undefined;
    const extents = this.#placeContent(step, node, old, isUnchanged);
    this.#body.clear();
    encodeBody(this.#body, node, extents);
    this.#remember(step);
    this.#blocks.add(step.path, this.#body.bytes());
    if (isInBase) this.#next();
  }

  /** Passes by what is in the base only; whether the base has this very path. */
  #advanceTo(step: PlanStep): boolean {
    const cursor = this.#cursor;
    while (cursor !== undefined && this.#hasBase) {
      const order = step.compare(cursor.path);
      if (order >= 0) return order === 0;
      this.#leave(cursor.body.extents);
      this.#next();
    }
    return false;
  }

  #next(): void {
    this.#hasBase = this.#cursor?.next() ?? false;
  }

  #leave({ start, length }: PageExtents): void {
    for (let i = 0; i < start.length; i++) {
      this.#gone.start.push(start[i] as number);
      this.#gone.length.push(length[i] as number);
    }
  }

  #isUnchanged({ facts }: PlanStep): boolean {
    const ordinal = (this.#cursor as TreeCursor).ordinal;
    return facts !== undefined && this.#base?.facts?.isSame(ordinal, facts) === true;
  }

  /** Where the pages of a file lie: where they were, as far as it has as many. */
  #placeContent(
    step: PlanStep,
    node: TreeNode,
    old: TreeBody | undefined,
    isUnchanged: boolean,
  ): PageExtents {
    const isFile = node.kind === 'file';
    if (isUnchanged && old !== undefined && isSameContent(node, old)) return old.extents;
    if (old !== undefined) this.#leave(old.extents);
    if (!isFile) return NO_EXTENTS;
    const pages = node.dataRuns === undefined ? pagesOf(node.sizeBytes) : sumOf(node.dataRuns);
    const known = old?.kind === 'file' ? old.extents : NO_EXTENTS;
    const extents = this.#addresses.resize(known, pages);
    if (pages > 0) this.#readContent(step.content(), node, extents);
    return extents;
  }

  #readContent(place: ContentPlace, node: TreeNode, extents: PageExtents): void {
    const file = this.#contents.add(place, node.sizeBytes);
    cutPieces(extents, node.dataRuns, (address, pages, offsetBytes) => {
      this.#read.start.push(address);
      this.#read.length.push(pages);
      this.#read.file.push(file);
      this.#read.offset.push(offsetBytes);
    });
  }

  #remember({ facts, isSettled }: PlanStep): void {
    this.#facts.add(isSettled ? facts : undefined);
    this.#paths += 1;
  }

  /** The same as a step for each: 0.2 us instead of 2, of which there are 100,000. */
  passOver(run: PathRun): number {
    const { directory, names, first, end } = run;
    const cursor = this.#cursor;
    const known = this.#base?.facts;
    if (cursor === undefined || known === undefined) return 0;
    let name = first;
    for (; name < end && this.#hasBase; name++) {
      if (!cursor.isAt(directory, names[name] as string)) break;
      const now = run.facts(name);
      if (now === undefined || !known.hasWords(cursor.ordinal, now)) break;
      this.#facts.copy(known, cursor.ordinal);
      this.#paths += 1;
      this.#blocks.keep(cursor);
      this.#next();
    }
    return name - first;
  }

  finish(): TreePlan {
    while (this.#hasBase) {
      this.#leave((this.#cursor as TreeCursor).body.extents);
      this.#next();
    }
    const none = { runStart: new Float64Array(0), runLength: new Float64Array(0) };
    const kept = subtract(this.#base?.fileRuns ?? none, piecesOf(this.#gone));
    const read = piecesOf(this.#read);
    const runs = unite(kept, read);
    const { tree, inherited } = placeBlocks(this.#blocks.finish(), this.#base);
    return {
      tree,
      treeInherited: inherited,
      runs,
      pageCount: runs.runLength.reduce((sum, pages) => sum + pages, 0),
      inherited: { start: pagesAt(runs, kept.runStart), length: kept.runLength },
      contents: this.#shareContents(runs, read),
      facts: this.#facts.finish(),
      pathCount: this.#paths,
      readCount: this.#contents.length,
    };
  }

  #shareContents(runs: SpaceRuns, read: Pieces): TreePlan['contents'] {
    const order = orderOf(read);
    return {
      page: shareNumbers(pagesAt(runs, inOrder(read.start, order))),
      pages: shareNumbers(inOrder(read.length, order)),
      file: shareNumbers(inOrder(this.#read.file.values(), order)),
      offsetBytes: shareNumbers(inOrder(this.#read.offset.values(), order)),
      ...this.#contents.share(),
    };
  }
}

/**
 * Whether files that are one by their facts have the same pages. They were looked at before the
 * node was read: a file that changed in between would get a record that contradicts itself.
 */
function isSameContent(node: TreeNode, old: TreeBody): boolean {
  if (node.kind !== 'file' || old.kind !== 'file' || node.sizeBytes !== old.sizeBytes) return false;
  const [runs, before] = [node.dataRuns, old.dataRuns];
  if (runs === undefined || before === undefined) return runs === before;
  return isSame(runs.start, before.start) && isSame(runs.length, before.length);
}

function isSame(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function piecesOf({ start, length }: { start: NumberColumn; length: NumberColumn }): Pieces {
  return { start: start.values(), length: length.values() };
}

function checkStorable(node: TreeNode): void {
  const problem = whyUnstorable(node);
  if (problem === undefined) return;
  const file = Buffer.from(node.path).toString();
  throw new StoreError('UNSUPPORTED_IMAGE', problem, { file });
}
