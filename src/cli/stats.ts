/** `stats`: how much a store holds. */
import type { Command } from 'commander';
import type { StoreStatistics } from '../index.ts';
import { readingCommand, runOnStore, type ReadingCommandOptions } from './store-command.ts';
import { formatBytes, formatFacts } from './text.ts';

/** The command. */
export function statsCommand(): Command {
  return readingCommand('stats', 'show how much the store holds').action(
    async (options: ReadingCommandOptions) => {
      await runOnStore(options, (store) => {
        const statistics = store.statistics();
        return { document: statistics, lines: formatFacts(factsOf(statistics)) };
      });
    },
  );
}

function factsOf(statistics: StoreStatistics): [string, readonly string[]][] {
  const { logicalBytes, storedBytes, removedSnapshots } = statistics;
  const share = logicalBytes === 0 ? '' : ` (${((100 * storedBytes) / logicalBytes).toFixed(1)} %)`;
  return [
    ['timelines', [String(statistics.timelines)]],
    ['snapshots', [String(statistics.snapshots)]],
    ['removed', removedSnapshots === 0 ? [] : [String(removedSnapshots)]],
    ['logical', [formatBytes(logicalBytes)]],
    ['stored', [formatBytes(storedBytes) + share]],
    ['packs', [String(statistics.packs)]],
    ['pages', [String(statistics.pages)]],
    ['generation', [String(statistics.generation)]],
  ];
}
