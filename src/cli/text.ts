/** Pieces of text for people: sizes, times, labels, tables. Nothing here prints. */

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'] as const;
/** From here on, one decimal would round up to 1000. */
const NEXT_UNIT = 999.95;

/** Bytes as people read them, in decimal units: `1.2 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes / 1000;
  let unit = 0;
  while (value >= NEXT_UNIT && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}

/** A number with the noun that it counts: `1 page`, `2 pages`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** A time in a form that also works in `TIMELINE@TIME`, so to the millisecond. */
export function formatTime(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** Labels as `key=value`, with quotes where a reader could mistake them. */
export function formatLabels(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([key, value]) => {
    const text = `${key}=${value}`;
    return /[\s"]/.test(text) ? JSON.stringify(text) : text;
  });
}

/**
 * Text without what a terminal would obey. Names and labels come from whoever made the dump, who
 * need not be a friend.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** Rows under their titles, aligned; columns with nothing in them are left out. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const shown = columns
    .map(({ title, align }, index) => ({
      title,
      align,
      cells: rows.map((row) => row[index] ?? ''),
    }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
    .map(({ title, align, cells }) => alignCells([title, ...cells.map(printable)], align));
  const height = shown[0]?.length ?? 0;
  return Array.from({ length: height }, (_, line) =>
    shown
      .map((cells) => cells[line])
      .join('  ')
      .trimEnd(),
  );
}

function alignCells(cells: readonly string[], align: Column['align']): string[] {
  const width = cells.reduce((widest, cell) => Math.max(widest, cell.length), 0);
  return cells.map((cell) => (align === 'right' ? cell.padStart(width) : cell.padEnd(width)));
}

/** Names and values below each other, the values aligned; a value may have several lines. */
export function formatFacts(facts: readonly (readonly [string, readonly string[]])[]): string[] {
  const rows = facts.flatMap(([name, values]) =>
    values.map((value, index) => [index === 0 ? name : '', value]),
  );
  const width = rows.reduce((widest, [name = '']) => Math.max(widest, name.length), 0);
  return rows.map(([name = '', value = '']) => `${name.padEnd(width)}  ${printable(value)}`);
}
