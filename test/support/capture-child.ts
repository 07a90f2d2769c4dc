/** The program of a child process: captures dumps, and says so once each is acknowledged. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Report, Task } from './children.ts';
import { makeDump } from './made-dumps.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function run(task: Task): Promise<void> {
  const store = await openUnmanaged(task.directory, { create: true });
  const format = readFileSync(join(task.directory, 'format.json'), 'utf8');
  say({ event: 'open', storeId: (JSON.parse(format) as { storeId: string }).storeId });
  for (let seed = task.first; seed < task.first + task.count; seed++) {
    const images = makeDump(join(task.work, String(seed)), seed, task.pages);
    say({ event: 'begin', seed });
    const { id } = await store.timeline(task.timeline).capture({ images });
    say({ event: 'captured', seed, id });
    rmSync(images, { recursive: true });
  }
  say({ event: 'done' });
  if (task.stay === true) for await (const _ of process.stdin);
  await store.close();
}

await run(JSON.parse(process.argv[2] ?? '') as Task);
