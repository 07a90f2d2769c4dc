/** The program of a child process: runs one collection of a store, and prints its report. */
import { openUnmanaged } from './unmanaged-stores.ts';

const [directory = '', options = '{}'] = process.argv.slice(2);
const store = await openUnmanaged(directory);
const report = await store.collect(JSON.parse(options) as object);
await store.close();
process.stdout.write(JSON.stringify(report));
