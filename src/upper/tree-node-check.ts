/** Checks a node that comes from stored bytes before anything is made of it. */
import { StoreError } from '../errors.ts';
import { isRelativePath } from '../files/relative-path.ts';
import type { TreeNode } from '../tree/entry.ts';

const MAX_PATH_BYTES = 4096;
/** 2 ** 32 - 1 would mean: leave it as it is. */
const MAX_OWNER = 2 ** 32 - 2;
const MAX_MODE = 0o7777;
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/** @throws StoreError CORRUPT when the node could not have come from a tree. */
export function checkNode(node: TreeNode): void {
  checkPath(node.path);
  const { kind, target } = node;
  if (node.path.length === 0 && kind !== 'directory') refuse('the root is no directory', node.path);
  const areFine =
    isWithin(node.mode, 0, MAX_MODE) &&
    isWithin(node.uid, 0, MAX_OWNER) &&
    isWithin(node.gid, 0, MAX_OWNER) &&
    isWithin(node.modifiedSeconds, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) &&
    isWithin(node.modifiedNanoseconds, 0, 999_999_999) &&
    isWithin(node.sizeBytes, 0, Number.MAX_SAFE_INTEGER) &&
    isWithin(node.deviceMajor, 0, MAX_MAJOR) &&
    isWithin(node.deviceMinor, 0, MAX_MINOR);
  if (!areFine) refuse('a number is out of its range', node.path);
  if (kind === 'link' && (target === undefined || target.length === 0 || target.includes(0))) {
    refuse('a link without a target', node.path);
  }
  if (kind === 'hard') {
    if (target === undefined || target.length === 0) refuse('a name of no file', node.path);
    else checkPath(target);
  }
  for (const { name } of node.xattrs) {
    if (name.length === 0 || name.includes(0)) refuse('an attribute without a name', node.path);
  }
}

/** @throws StoreError CORRUPT when a path is not one inside a tree. */
export function checkPath(path: Uint8Array): void {
  if (path.length > MAX_PATH_BYTES) refuse('a path of more than 4096 bytes', path.subarray(0, 255));
  if (!isRelativePath(path)) refuse('not a path inside a tree', path);
}

function isWithin(value: number, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && value >= low && value <= high;
}

function refuse(message: string, path: Uint8Array): never {
  throw new StoreError('CORRUPT', message, { file: Buffer.from(path).toString() });
}
