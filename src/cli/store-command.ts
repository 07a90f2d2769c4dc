/**
 * What all commands have in common: the store they work on, how it is opened and closed, and how
 * the result is printed.
 */
import { Command } from 'commander';
import { SnapshotStore, type OpenOptions } from '../index.ts';
import { printResult, type Result } from './output.ts';

/** The options of every command. */
export interface StoreCommandOptions {
  readonly store: string;
  readonly json?: boolean;
}

/** The options of every command that only reads. */
export interface ReadingCommandOptions extends StoreCommandOptions {
  readonly readOnly?: boolean;
}

/** How a reference to a snapshot is called in usage lines. */
export const SNAPSHOT_ARGUMENT = [
  '<snapshot>',
  'id, prefix of one, TIMELINE, TIMELINE@N or TIMELINE@TIME',
] as const;

/** A new command on a store. */
export function storeCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .requiredOption('--store <dir>', 'directory of the store')
    .option('--json', 'print one JSON document instead of text');
}

/** A new command that changes nothing. */
export function readingCommand(name: string, description: string): Command {
  return storeCommand(name, description).option(
    '--read-only',
    'take no lease and write nothing, for a store on read-only media',
  );
}

/** Opens the store, works on it, closes it whatever happened, and then prints the result. */
export async function runOnStore(
  options: ReadingCommandOptions,
  work: (store: SnapshotStore) => Result | Promise<Result>,
  access: OpenOptions = { readOnly: options.readOnly },
): Promise<void> {
  const store = await SnapshotStore.open(options.store, access);
  let result: Result;
  try {
    result = await work(store);
  } finally {
    // Before anything is printed: who reads in a pager must not hold a lease meanwhile.
    await store.close();
  }
  await printResult(result, options.json ?? false);
}
