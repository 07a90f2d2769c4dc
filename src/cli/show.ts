/** `show`: everything that is known about one snapshot, without its memory. */
import type { Command } from 'commander';
import type {
  FilesDescription,
  ImageDescription,
  Snapshot,
  SnapshotDescription,
} from '../index.ts';
import { formatProcesses } from './process-tree.ts';
import { count, formatBytes, formatFacts, formatLabels, formatTable, formatTime } from './text.ts';
import {
  readingCommand,
  runOnStore,
  SNAPSHOT_ARGUMENT,
  type ReadingCommandOptions,
} from './store-command.ts';

/** The command. */
export function showCommand(): Command {
  return readingCommand('show', 'show the facts, processes and images of a snapshot')
    .argument(...SNAPSHOT_ARGUMENT)
    .action(async (reference: string, options: ReadingCommandOptions) => {
      await runOnStore(options, (store) => {
        const snapshot = store.snapshot(reference);
        const description = snapshot.describe();
        const lines = [
          ...formatFacts(factsOf(snapshot, description)),
          ...section('Processes', formatProcesses(description.processes)),
          ...section('Images', formatImages(description.images)),
        ];
        return { document: { ...snapshot.toJSON(), ...description }, lines };
      });
    });
}

function factsOf(
  snapshot: Snapshot,
  { dumpPageBytes, files }: SnapshotDescription,
): [string, readonly string[]][] {
  const { sizes, parentId, criuRunId, noteText } = snapshot;
  const states = [
    snapshot.kind,
    ...(snapshot.isPinned ? ['pinned'] : []),
    ...(snapshot.isRemoved ? ['removed'] : []),
  ];
  return [
    ['snapshot', [`${snapshot.timeline}@${snapshot.sequence}`]],
    ['id', [snapshot.id]],
    ['taken at', [formatTime(snapshot.takenAt)]],
    ['kind', [states.join(', ')]],
    ['note', noteText === '' ? [] : [noteText]],
    ['labels', formatLabels(snapshot.labels)],
    ['parent', parentId === undefined ? [] : [parentId]],
    ['digest', [snapshot.digest]],
    ['CRIU run', criuRunId === undefined ? [] : [criuRunId]],
    ['dump pages', [`${dumpPageBytes} B each`]],
    ['files', files === undefined ? [] : [filesText(files)]],
    ["host's files", files?.hostFiles ?? []],
    ['logical', [sizeText(sizes.logical)]],
    ['new', [sizeText(sizes.new)]],
    ['stored', [formatBytes(sizes.stored.bytes)]],
  ];
}

function filesText({ files, directories, others, bytes }: FilesDescription): string {
  const counts = [
    count(files, 'file'),
    `${directories} ${directories === 1 ? 'directory' : 'directories'}`,
    count(others, 'other'),
  ];
  return `${counts.join(', ')}: ${formatBytes(bytes)}`;
}

function sizeText({ bytes, pages }: { readonly bytes: number; readonly pages: number }): string {
  return `${formatBytes(bytes)} in ${count(pages, 'page')}`;
}

function formatImages(images: readonly ImageDescription[]): string[] {
  const rows = images.map(({ name, kind, mode, sizeBytes, space }) => [
    kind === 'directory' ? `${name}/` : name,
    kind === 'directory' ? '' : formatBytes(sizeBytes),
    mode.toString(8).padStart(4, '0'),
    space ?? '',
  ]);
  return formatTable(
    [
      { title: 'NAME', align: 'left' },
      { title: 'SIZE', align: 'right' },
      { title: 'MODE', align: 'left' },
      { title: 'MEMORY', align: 'left' },
    ],
    rows,
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', title, ...(lines.length === 0 ? ['(none)'] : lines).map((line) => `  ${line}`)];
}
