/** What a suite returns: the same for all, so that printing and writing it is done once. */
import type { BarValue } from './bars.ts';
import type { Row } from './table.ts';

/** A table of results. */
export interface ResultTable {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** A plot: bars when there is a label for each value, lines over numbers otherwise. */
export type Plot =
  | {
      readonly kind: 'bars';
      readonly title: string;
      readonly unit: string;
      readonly values: readonly { readonly label: string; readonly value: number }[];
    }
  | {
      readonly kind: 'lines';
      readonly title: string;
      readonly unit: string;
      readonly xTitle: string;
      /** Each a line of points. */
      readonly lines: readonly {
        readonly label: string;
        readonly points: readonly (readonly [x: number, y: number])[];
      }[];
    };

/** Everything that a suite found out. */
export interface SuiteResult {
  readonly tables: readonly ResultTable[];
  readonly bars: readonly BarValue[];
  readonly plots: readonly Plot[];
  /** The raw numbers, for JSON only. */
  readonly raw: unknown;
  /** Versions of what was measured beside this library. */
  readonly versions?: Readonly<Record<string, string>>;
}
