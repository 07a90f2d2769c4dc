/** Snapshots as lines of text, the same way in every command. */
import type { Snapshot } from '../index.ts';
import { count, formatBytes, formatLabels, formatTable, formatTime, type Column } from './text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'SEQ', align: 'right' },
  { title: 'ID', align: 'left' },
  { title: 'TAKEN AT', align: 'left' },
  { title: 'KIND', align: 'left' },
  { title: 'LOGICAL', align: 'right' },
  { title: 'NEW PAGES', align: 'right' },
  { title: 'STORED', align: 'right' },
  { title: 'PINNED', align: 'left' },
  { title: 'LABELS', align: 'left' },
  { title: 'NOTE', align: 'left' },
];

/** One line: the id first, for scripts without JSON. */
export function formatSnapshot(snapshot: Snapshot): string {
  const { id, timeline, sequence, sizes } = snapshot;
  const facts = [
    `${formatBytes(sizes.logical.bytes)} logical`,
    count(sizes.new.pages, 'new page'),
    `${formatBytes(sizes.stored.bytes)} stored`,
  ];
  return `${id}  ${timeline}@${sequence}  ${facts.join(', ')}`;
}

/** A table of the snapshots of a timeline. */
export function formatSnapshots(snapshots: readonly Snapshot[]): string[] {
  return formatTable(COLUMNS, snapshots.map(rowOf));
}

function rowOf(snapshot: Snapshot): string[] {
  const { sequence, id, takenAt, kind, sizes, isPinned, labels, noteText } = snapshot;
  return [
    String(sequence),
    id,
    formatTime(takenAt),
    kind === 'pre-dump' ? kind : '',
    formatBytes(sizes.logical.bytes),
    String(sizes.new.pages),
    formatBytes(sizes.stored.bytes),
    isPinned ? 'pinned' : '',
    formatLabels(labels).join(' '),
    noteText,
  ];
}
