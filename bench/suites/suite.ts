/** What a suite is given, and what it is. */
import type { SuiteResult } from '../report/result.ts';

/** What a suite works with. */
export interface SuiteTask {
  /** Everything goes here; removed in the end. */
  readonly work: string;
  readonly series: readonly string[];
  readonly runs: number;
  readonly quick: boolean;
  /** How many sizes are measured where there are several, the smallest first. */
  readonly sizes: number;
  /** Says what is going on. */
  readonly say: (text: string) => void;
}

/** Measures, and returns what it found. */
export type Suite = (task: SuiteTask) => Promise<SuiteResult>;
