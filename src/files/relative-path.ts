/** Paths inside a tree, as raw bytes: what they must be like so that they cannot lead out of it. */

const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * Whether a path is relative, and without '.', '..', empty parts and NUL. The empty path, which is
 * the root of the tree, is one.
 */
export function isRelativePath(path: Uint8Array): boolean {
  if (path.length === 0) return true;
  if (path.includes(0)) return false;
  let start = 0;
  for (let end = 0; end <= path.length; end++) {
    if (end < path.length && path[end] !== SLASH) continue;
    const isDots = path[start] === DOT && (end - start === 1 || path[start + 1] === DOT);
    if (end === start || (isDots && end - start <= 2)) return false;
    start = end + 1;
  }
  return true;
}

/** The path of the directory that holds a path, and the name in it; of the root, two times ''. */
export function splitPath(path: Uint8Array): { parent: Uint8Array; name: Uint8Array } {
  const at = path.lastIndexOf(SLASH);
  return { parent: path.subarray(0, Math.max(at, 0)), name: path.subarray(at + 1) };
}
