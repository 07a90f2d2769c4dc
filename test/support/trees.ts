/**
 * Looks at directories as bytes: names (not as text), types, modes, sizes and contents, so that
 * two of them can be told to be the same, or one to be unchanged.
 */
import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { expect } from 'vitest';

/** What a tree is compared by. */
export interface TreeOptions {
  /** Whether the top directory's own mode counts; it does by default. */
  readonly topMode?: boolean;
  /** Names, in latin1, that are passed over with all that is in them. */
  readonly without?: readonly string[];
}

/**
 * One line for each file and directory of a tree, the tree itself first: type, mode, size, the
 * SHA-256 of the content and the name, whose bytes are shown as latin1.
 */
export function describeTree(path: string, options: TreeOptions = {}): string[] {
  const lines: string[] = [];
  const { topMode = true, without = [] } = options;
  const visit = (at: Buffer, name: string): void => {
    if (without.includes(name)) return;
    const facts = lstatSync(at);
    const mode = name !== '.' || topMode ? (facts.mode & 0o7777).toString(8).padStart(4, '0') : '-';
    if (facts.isDirectory()) {
      lines.push(`directory ${mode} ${name}`);
      const names = readdirSync(at, { encoding: 'buffer' }).sort((a, b) => a.compare(b));
      for (const child of names) {
        const text = child.toString('latin1');
        visit(Buffer.concat([at, SLASH, child]), name === '.' ? text : `${name}/${text}`);
      }
    } else if (facts.isFile()) {
      lines.push(`file ${mode} ${facts.size} ${hash('sha256', readFileSync(at))} ${name}`);
    } else if (facts.isSymbolicLink()) {
      lines.push(`link ${readlinkSync(at)} ${name}`);
    } else {
      lines.push(`other ${mode} ${name}`);
    }
  };
  visit(Buffer.from(path), '.');
  return lines;
}

const SLASH = Buffer.from('/');

/** Fails unless two directories have the same names, types, modes, sizes and bytes. */
export function expectSameTree(actual: string, expected: string, options?: TreeOptions): void {
  expect(describeTree(actual, options)).toEqual(describeTree(expected, options));
}

/** Bytes of all files of a tree. */
export function treeBytes(path: string): number {
  const facts = lstatSync(path);
  if (!facts.isDirectory()) return facts.size;
  return readdirSync(path).reduce((sum, name) => sum + treeBytes(`${path}/${name}`), 0);
}
