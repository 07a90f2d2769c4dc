/** Numbers out of several runs. */

/** The median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `values[i] / others[i]`: what drifts between runs cancels out. */
export function ratios(values: readonly number[], others: readonly number[]): number[] {
  const both = Math.min(values.length, others.length);
  return values.slice(0, both).map((value, run) => value / (others[run] as number));
}

/** `123 (98-140)`: the median and, where there are several, the spread. */
export function withSpread(values: readonly number[], digits = 0): string {
  if (values.length === 0) return '';
  const text = median(values).toFixed(digits);
  if (values.length === 1) return text;
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${text} (${least.toFixed(digits)}-${most.toFixed(digits)})`;
}
