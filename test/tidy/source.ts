/** The repository's own TypeScript files, as text and as syntax trees, for the rules of tidy. */
import fs from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The repository. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

/** One file; `path` is relative to the repository. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** All files at or below `folders` with one of these endings; fixtures are not ours. */
export function listSources(
  folders: readonly string[],
  endings: readonly string[] = ['.ts'],
): SourceText[] {
  return folders
    .filter((folder) => fs.existsSync(join(ROOT, folder)))
    .flatMap((folder) => walk(join(ROOT, folder)))
    .map((path) => relative(ROOT, path))
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .filter((path) => !path.startsWith('test/fixtures/') && !path.startsWith('bench/results/'))
    .sort()
    .map((path) => ({ path, text: fs.readFileSync(join(ROOT, path), 'utf8') }));
}

function walk(directory: string): string[] {
  if (fs.statSync(directory).isFile()) return [directory];
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.name === 'node_modules' || entry.name === 'unpacked') return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** The syntax tree of a file. */
export function parse({ path, text }: SourceText): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
}

/** Calls `visit` for every node of a tree. */
export function visitAll(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => visitAll(child, visit));
}

/** `path:line`, as editors and terminals understand it. */
export function placeOf(tree: ts.SourceFile, position: number): string {
  return `${tree.fileName}:${tree.getLineAndCharacterOfPosition(position).line + 1}`;
}
