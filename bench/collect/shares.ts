/** What is made of the numbers of collections: pure. */

/** Bytes of a store before and after a collection, and of a new one of what is still there. */
export interface StoreBytes {
  readonly before: number;
  readonly after: number;
  readonly fresh: number;
}

/** What was freed, as a part of what only the removed snapshots needed; NaN if that is nothing. */
export function freedShare({ before, after, fresh }: StoreBytes): number {
  return before > fresh ? (before - after) / (before - fresh) : Number.NaN;
}

/** A stretch of time. */
export interface Span {
  readonly startedAtMs: number;
  readonly milliseconds: number;
}

/** The part of `span` in which at least one of `others`, which do not overlap, ran. */
export function busyShare(span: Span, others: readonly Span[]): number {
  const endOf = ({ startedAtMs, milliseconds }: Span): number => startedAtMs + milliseconds;
  const busy = others.reduce((sum, other) => {
    const from = Math.max(span.startedAtMs, other.startedAtMs);
    return sum + Math.max(0, Math.min(endOf(span), endOf(other)) - from);
  }, 0);
  return busy / span.milliseconds;
}

/** The stretch from the start of the first to the end of the last, one after the other. */
export function wholeSpan(spans: readonly Span[]): Span {
  const [first, last] = [spans[0], spans.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('no spans');
  const { startedAtMs } = first;
  return { startedAtMs, milliseconds: last.startedAtMs + last.milliseconds - startedAtMs };
}
