/** The processes of a dump as the rows of a tree, children indented below their parents. */
import type { ProcessDescription } from '../index.ts';
import { formatTable, type Column } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'PID', align: 'left' },
  { title: 'THREADS', align: 'right' },
  { title: 'STATE', align: 'left' },
  { title: 'COMMAND', align: 'left' },
  { title: 'EXECUTABLE', align: 'left' },
];

/** A table of processes. */
export function formatProcesses(processes: readonly ProcessDescription[]): string[] {
  const rows = inTreeOrder(processes).map(({ process, depth }) => [
    '  '.repeat(depth) + String(process.pid),
    String(process.threadIds.length),
    process.state,
    process.command ?? '?',
    process.executable ?? '',
  ]);
  return formatTable(COLUMNS, rows);
}

interface Placed {
  readonly process: ProcessDescription;
  readonly depth: number;
}

/** Every process once, whatever the images claim about who is whose parent. */
function inTreeOrder(processes: readonly ProcessDescription[]): Placed[] {
  const children = new Map<number, ProcessDescription[]>();
  for (const process of processes) {
    const siblings = children.get(process.parentPid);
    if (siblings === undefined) children.set(process.parentPid, [process]);
    else siblings.push(process);
  }
  const pids = new Set(processes.map(({ pid }) => pid));
  const isRoot = ({ parentPid }: ProcessDescription) => !pids.has(parentPid);
  const placed = new Map<ProcessDescription, Placed>();
  // Roots first; whatever is left after them is in a circle, and starts where it is met.
  for (const start of [...processes.filter(isRoot), ...processes]) {
    const waiting: Placed[] = [{ process: start, depth: 0 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (placed.has(next.process)) continue;
      placed.set(next.process, next);
      const { depth } = next;
      const below = children.get(next.process.pid) ?? [];
      waiting.push(...below.map((process) => ({ process, depth: depth + 1 })).reverse());
    }
  }
  return [...placed.values()];
}
