/** Sizes, comments and banned words: what Prettier and ESLint do not see, or not in our measure. */
import ts from 'typescript';
import { parse, placeOf, visitAll, type SourceText } from './source.ts';

/** The measures. */
export const MAXIMUM = { fileLines: 400, functionLines: 70, columns: 100 } as const;

/** Words that name a place for things without a place. */
const NAMELESS = /^(util|utility|helper|common|manager|misc)(s|ies)?$/;

// In two halves, so that this file passes its own test.
const UNFINISHED = new RegExp('\\b(TO' + 'DO|FIX' + 'ME)\\b');

/** Calls that make a function's result depend on more than its arguments. */
const AMBIENT = new Map([
  ['Date.now', 'the clock is an option'],
  ['performance.now', 'the clock is an option'],
  ['process.hrtime', 'the clock is an option'],
  ['Math.random', 'randomness is an option'],
  ['crypto.getRandomValues', 'randomness is an option'],
  ['crypto.randomUUID', 'randomness is an option'],
]);

/** What is wrong with the layout of a file of src, test, bench or examples. */
export function checkLayout(source: SourceText): string[] {
  const { path, text } = source;
  const lines = text.split('\n');
  const found = path
    .split('/')
    .filter((part) => part.split(/[-.]/).some((word) => NAMELESS.test(word)))
    .map((part) => `${path}: "${part}" names nothing; find the noun`);
  const length = lines.length - (text.endsWith('\n') ? 1 : 0);
  if (length > MAXIMUM.fileLines) {
    found.push(`${path}: ${length} lines, at most ${MAXIMUM.fileLines}`);
  }
  lines.forEach((line, index) => {
    // A URL cannot be broken.
    if (line.length > MAXIMUM.columns && !line.includes('://')) {
      found.push(`${path}:${index + 1}: ${line.length} columns, at most ${MAXIMUM.columns}`);
    }
    const word = UNFINISHED.exec(line);
    if (word !== null) found.push(`${path}:${index + 1}: ${word[0]}; do it now or do not merge it`);
  });
  return found;
}

/** What is wrong with the code of a file of src. `ambient` allows it the clock and randomness. */
export function checkCode(
  source: SourceText,
  { ambient = false }: { ambient?: boolean } = {},
): string[] {
  const tree = parse(source);
  const found: string[] = [];
  const isCli = source.path.startsWith('src/cli/');
  visitAll(tree, (node) => {
    const complaint =
      judgeForm(tree, node) ??
      (isCli ? undefined : judgeConsole(node)) ??
      (isCli || ambient ? undefined : judgeAmbient(node));
    if (complaint !== undefined) found.push(`${placeOf(tree, node.getStart())}: ${complaint}`);
  });
  return [...found, ...checkComments(tree)];
}

function judgeForm(tree: ts.SourceFile, node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any';
  if (ts.isEnumDeclaration(node)) return 'enum; use a union of literals';
  if (isDefaultExport(node)) return 'default export; name it';
  if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return undefined;
  const first = tree.getLineAndCharacterOfPosition(node.getStart()).line;
  const lines = tree.getLineAndCharacterOfPosition(node.end).line - first + 1;
  if (lines <= MAXIMUM.functionLines) return undefined;
  return `function of ${lines} lines, at most ${MAXIMUM.functionLines}`;
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  return ts.canHaveModifiers(node) && hasModifier(node, ts.SyntaxKind.DefaultKeyword);
}

function hasModifier(node: ts.HasModifiers, kind: ts.SyntaxKind): boolean {
  return ts.getModifiers(node)?.some((modifier) => modifier.kind === kind) ?? false;
}

function judgeConsole(node: ts.Node): string | undefined {
  if (!ts.isPropertyAccessExpression(node)) return undefined;
  const text = node.getText().replace(/^globalThis\./, '');
  if (text === 'process.env') return 'process.env: the library reads no environment';
  if (text === 'process.stdout' || text === 'process.stderr') return `${text}: only cli prints`;
  return /^console\.\w+$/.test(text) ? `${text}: only cli prints` : undefined;
}

function judgeAmbient(node: ts.Node): string | undefined {
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
    return (node.arguments?.length ?? 0) === 0 ? 'new Date(): the clock is an option' : undefined;
  }
  if (ts.isImportSpecifier(node)) {
    const name = (node.propertyName ?? node.name).text;
    return /^random(Bytes|UUID|Int|Fill|FillSync)$/.test(name)
      ? `${name}: randomness is an option`
      : undefined;
  }
  if (!ts.isPropertyAccessExpression(node)) return undefined;
  const text = node.getText().replace(/^globalThis\./, '');
  const reason = AMBIENT.get(text);
  return reason === undefined ? undefined : `${text}: ${reason}`;
}

/** A paragraph at the top, and TSDoc on everything that is exported. */
function checkComments(tree: ts.SourceFile): string[] {
  const found: string[] = [];
  const [first] = tree.statements;
  const start = ts.getShebang(tree.text)?.length ?? 0;
  const comments = ts.getLeadingCommentRanges(tree.text, start) ?? [];
  // A lone comment above an exported first statement is that statement's own.
  const needed = first !== undefined && isDocumentable(first) ? 2 : 1;
  if (comments.length < needed || !tree.text.slice(start).trimStart().startsWith('/*')) {
    found.push(`${tree.fileName}:1: no paragraph at the top that says what the file is`);
  }
  tree.statements.forEach((statement, index) => {
    if (!isDocumentable(statement) || hasDocumentation(statement)) return;
    const before = tree.statements[index - 1];
    const name = nameOf(statement);
    // The first of several overloads speaks for all.
    if (before !== undefined && ts.isFunctionDeclaration(before) && nameOf(before) === name) return;
    found.push(`${placeOf(tree, statement.getStart())}: ${name} is exported without TSDoc`);
  });
  return found;
}

function isDocumentable(statement: ts.Statement): boolean {
  return ts.canHaveModifiers(statement) && hasModifier(statement, ts.SyntaxKind.ExportKeyword);
}

function hasDocumentation(statement: ts.Statement): boolean {
  const ranges = ts.getLeadingCommentRanges(statement.getSourceFile().text, statement.pos) ?? [];
  const last = ranges.at(-1);
  return last !== undefined && statement.getSourceFile().text.startsWith('/**', last.pos);
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText()).join(', ');
  }
  const name = 'name' in statement ? (statement.name as ts.Node | undefined) : undefined;
  return name?.getText() ?? '(nameless)';
}
