/** Tables for a terminal: the first column to the left, the others to the right. */

/** A row: what stands in each column, by the column's title. */
export type Row = Readonly<Record<string, string | number>>;

/** A title, the columns' titles, and the rows below. */
export function formatTable(title: string, rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((name) => String(row[name] ?? '')))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  const texts = lines.map((line) =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  texts.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return `\n${title}\n\n${texts.map((text) => `  ${text}\n`).join('')}`;
}
