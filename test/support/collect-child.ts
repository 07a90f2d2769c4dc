/** The program of a child process: removes snapshots, collects, and prints the report. */
import { openUnmanaged } from './unmanaged-stores.ts';

const [directory = '', options = '{}', ...removed] = process.argv.slice(2);
const store = await openUnmanaged(directory);
for (const id of removed) await store.snapshot(id).remove();
const report = await store.collect(JSON.parse(options) as object);
await store.close();
process.stdout.write(JSON.stringify(report));
