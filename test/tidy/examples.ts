/**
 * The examples of README, FORMAT.md and `@example` tags: found as fenced `ts` blocks, and checked
 * by the TypeScript compiler against src, as a reader's compiler would against the package.
 *
 * The fence may say more: `ts ignore` is not checked, `ts continues` goes on from the block before
 * it in the same file, so that a page can tell one story in several blocks.
 */
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';
import { ROOT, parse, visitAll, type SourceText } from './source.ts';

/** A block of code for readers. */
export interface Example {
  /** Where it comes from, as `path:line` of its first line of code. */
  readonly place: string;
  readonly code: string;
}

const FENCE = /^([ \t]*)```(?:ts|typescript)([ \t]+\w+)?[ \t]*\n([\s\S]*?)^[ \t]*```[ \t]*$/gm;

/** The examples of a Markdown page, or those in the doc comments of a TypeScript file. */
export function findExamples(source: SourceText): Example[] {
  if (!source.path.endsWith('.ts')) return fencedBlocks(source, source.text, 0);
  return commentsOf(source).flatMap(({ pos, end }) => {
    // Blanks instead of the comment's own stars keep every line where it is.
    const text = source.text.slice(pos, end).replace(/^[ \t]*\* ?/gm, '');
    return fencedBlocks(source, text, source.text.slice(0, pos).split('\n').length - 1);
  });
}

function commentsOf(source: SourceText): ts.CommentRange[] {
  const tree = parse(source);
  const comments = new Map<number, ts.CommentRange>();
  visitAll(tree, (node) => {
    for (const range of ts.getLeadingCommentRanges(source.text, node.pos) ?? []) {
      comments.set(range.pos, range);
    }
  });
  return [...comments.values()].sort((a, b) => a.pos - b.pos);
}

function fencedBlocks(source: SourceText, text: string, linesBefore: number): Example[] {
  const examples: Example[] = [];
  for (const match of text.matchAll(FENCE)) {
    const [, indent = '', word = '', body = ''] = match;
    const code = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    if (word.trim() === 'ignore') continue;
    const previous = examples.at(-1);
    if (word.trim() === 'continues' && previous !== undefined) {
      examples[examples.length - 1] = { ...previous, code: previous.code + code };
    } else {
      const line = linesBefore + text.slice(0, match.index).split('\n').length + 1;
      examples.push({ place: `${source.path}:${line}`, code });
    }
  }
  return examples;
}

/** What the compiler says about examples; nothing is written, nothing is run. */
export function checkExamples(examples: readonly Example[]): string[] {
  const configPath = join(ROOT, 'tsconfig.json');
  const config = ts.readConfigFile(configPath, (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
  Object.assign(options, { noEmit: true, noUnusedLocals: false, isolatedDeclarations: false });
  options.declaration = false;
  options.declarationMap = false;

  // Beside the sources, so that `criu-timeline` is the package that they stand in.
  const virtual = new Map(
    examples.map((example, index) => [join(ROOT, `src/example-${index}.ts`), example]),
  );
  const host = ts.createCompilerHost(options);
  host.fileExists = (path) => virtual.has(path) || ts.sys.fileExists(path);
  host.readFile = (path) => {
    const example = virtual.get(path);
    return example === undefined ? ts.sys.readFile(path) : `${example.code}\nexport {};\n`;
  };
  host.getSourceFile = (path, languageVersion) => {
    const text = host.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...virtual.keys()], options, host);
  return [...virtual].flatMap(([path, example]) => {
    const tree = program.getSourceFile(path);
    if (tree === undefined) throw new Error(`${basename(dirname(path))}: ${path} was not compiled`);
    const problems = [
      ...program.getSyntacticDiagnostics(tree),
      ...program.getSemanticDiagnostics(tree),
    ];
    return problems.map((problem) => describe(problem, tree, example));
  });
}

function describe(problem: ts.Diagnostic, tree: ts.SourceFile, { place }: Example): string {
  const { line } = tree.getLineAndCharacterOfPosition(problem.start ?? 0);
  const message = ts.flattenDiagnosticMessageText(problem.messageText, ' ');
  return `${place}, line ${line + 1} of the example: ${message}`;
}
