/** Who may import whom: checks a file of src against a table of rooms and a table of packages. */
import { posix } from 'node:path';
import ts from 'typescript';
import { parse, placeOf, visitAll, type SourceText } from './source.ts';

/** The rules; see tidy.test.ts for what they mean. */
export interface ImportRules {
  /** A room, and the rooms it may import; `type x` allows only types of x. */
  readonly rooms: Readonly<Record<string, readonly string[]>>;
  /** A package, and the rooms or files that alone may import it. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** The package's own `#` imports, and the file each one stands for. */
  readonly aliases: Readonly<Record<string, string>>;
  /** What package.json lists under `dependencies`. */
  readonly dependencies: readonly string[];
}

interface Reference {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly position: number;
}

/** What is wrong with a file's imports; an empty list when nothing is. */
export function checkImports(source: SourceText, rules: ImportRules): string[] {
  const tree = parse(source);
  const room = roomOf(source.path);
  const allowed = rules.rooms[room];
  if (allowed === undefined) return [`${source.path}: ${room} has no row in the table of rooms`];
  return referencesOf(tree).flatMap((reference) => {
    const complaint = judge(source.path, reference, allowed, rules);
    return complaint === undefined ? [] : [`${placeOf(tree, reference.position)}: ${complaint}`];
  });
}

/** Rows of the table that name a room which stands below them: the way to a cycle. */
export function checkTable(rooms: ImportRules['rooms']): string[] {
  const above = new Set<string>();
  return Object.entries(rooms).flatMap(([room, allowed]) => {
    const wrong = allowed.filter((name) => !above.has(name.replace(/^type /, '')));
    above.add(room);
    return wrong.map((name) => `${room} may import ${name}, which is not above it`);
  });
}

function judge(
  path: string,
  { specifier, typeOnly }: Reference,
  allowed: readonly string[],
  rules: ImportRules,
): string | undefined {
  const target = specifier.startsWith('.')
    ? posix.join(posix.dirname(path), specifier)
    : rules.aliases[specifier];
  if (target === undefined) return judgePackage(path, specifier, rules);
  if (specifier.startsWith('.') && !specifier.endsWith('.ts')) return `${specifier} lacks .ts`;
  if (!target.startsWith('src/')) return `${specifier} leaves src`;
  const room = roomOf(target);
  if (room === roomOf(path) || allowed.includes(room)) return undefined;
  if (typeOnly && allowed.includes(`type ${room}`)) return undefined;
  return `${roomOf(path)} must not import ${room}`;
}

function judgePackage(path: string, specifier: string, rules: ImportRules): string | undefined {
  if (specifier.startsWith('#')) return `${specifier} is unknown here`;
  const parts = specifier.split('/');
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const owners = rules.packages[specifier] ?? rules.packages[name];
  if (owners !== undefined && !owners.includes(path.slice(4)) && !owners.includes(roomOf(path))) {
    return `only ${owners.join(' and ')} may import ${specifier}`;
  }
  if (name.startsWith('node:') || rules.dependencies.includes(name)) return undefined;
  return `${name} is not among the dependencies of package.json`;
}

/** `src/pack/reader.ts` is in the room `pack/`, `src/errors.ts` is a room by itself. */
function roomOf(path: string): string {
  const [, first = '', ...rest] = path.split('/');
  return rest.length > 0 ? `${first}/` : first;
}

function referencesOf(tree: ts.SourceFile): Reference[] {
  const references: Reference[] = [];
  visitAll(tree, (node) => {
    const found = referenceOf(node);
    if (found === undefined || !ts.isStringLiteralLike(found.name)) return;
    const { name, typeOnly } = found;
    references.push({ specifier: name.text, typeOnly, position: name.getStart() });
  });
  return references;
}

function referenceOf(node: ts.Node): { name: ts.Node; typeOnly: boolean } | undefined {
  if (ts.isImportDeclaration(node)) {
    return { name: node.moduleSpecifier, typeOnly: hasOnlyTypes(node.importClause) };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const names = node.exportClause;
    const each =
      names !== undefined &&
      ts.isNamedExports(names) &&
      names.elements.every((element) => element.isTypeOnly);
    return { name: node.moduleSpecifier, typeOnly: node.isTypeOnly || each };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { name: node.argument.literal, typeOnly: true };
  }
  // import('x'), require('x')
  if (ts.isCallExpression(node) && node.arguments[0] !== undefined) {
    const { expression } = node;
    const isImport = expression.kind === ts.SyntaxKind.ImportKeyword;
    const isRequire = ts.isIdentifier(expression) && expression.text === 'require';
    return isImport || isRequire ? { name: node.arguments[0], typeOnly: false } : undefined;
  }
  // new URL('./worker.ts', import.meta.url): how a worker thread is found
  if (ts.isNewExpression(node) && node.arguments?.length === 2) {
    const [name, base] = node.arguments;
    if (name !== undefined && base?.getText() === 'import.meta.url')
      return { name, typeOnly: false };
  }
  return undefined;
}

function hasOnlyTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  if (clause.name !== undefined || names === undefined || !ts.isNamedImports(names)) return false;
  return names.elements.every((element) => element.isTypeOnly);
}
