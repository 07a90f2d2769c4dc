/** An opened directory is plain data: another thread can read all of it, and confirm it. */
import { appendFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import {
  confirmUnchanged,
  type ImageDirectory,
  openContent,
  openImageDirectory,
} from '../../src/images/index.ts';
import { fixture } from '../support/fixtures.ts';
import {
  entryNamed,
  flatFilesOf,
  type MadeRun,
  makeImageDirectory,
  openEntry,
  parentOf,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

type Columns = Float64Array | Uint32Array | Uint8Array;

function isColumns(value: unknown): value is Columns {
  return ArrayBuffer.isView(value);
}

/** Calls `visit` with every object below a value, typed arrays included, each once. */
function visitObjects(value: unknown, visit: (found: object) => void): void {
  const seen = new Set<object>();
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    seen.add(next);
    visit(next);
    if (!isColumns(next)) pending.push(...(Object.values(next) as unknown[]));
  }
}

/** A copy as another thread gets it when the columns are in shared memory. */
function shared<T>(value: T): T {
  const buffers = new Map<object, object>();
  const copyOf = (one: unknown): unknown => {
    if (typeof one !== 'object' || one === null) return one;
    const known = buffers.get(one);
    if (known !== undefined) return known;
    const copy = Array.isArray(one) ? [] : isColumns(one) ? sharedColumns(one) : {};
    buffers.set(one, copy);
    if (!isColumns(one)) {
      for (const [name, field] of Object.entries(one)) {
        (copy as Record<string, unknown>)[name] = copyOf(field);
      }
    }
    return copy;
  };
  return copyOf(value) as T;
}

function sharedColumns(columns: Columns): Columns {
  const memory = new SharedArrayBuffer(columns.byteLength);
  const bytes = new Uint8Array(memory);
  bytes.set(new Uint8Array(columns.buffer, columns.byteOffset, columns.byteLength));
  if (columns instanceof Float64Array) return new Float64Array(memory);
  return columns instanceof Uint32Array ? new Uint32Array(memory) : bytes;
}

function posted<T>(value: T, transfer: ArrayBuffer[] = []): T {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(value, transfer);
  const received = receiveMessageOnPort(port2) as { message: T };
  port1.close();
  return received.message;
}

function full(): ImageDirectory {
  const path = newPath();
  cpSync(fixture('zoo-4.2/001'), path, { recursive: true });
  mkdirSync(join(path, 'criu.work'));
  writeFileSync(join(path, 'criu.work', 'dump.log'), 'log');
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x80])]), 'raw');
  return openImageDirectory(path);
}

const chained = () => openImageDirectory(fixture('chain-4.1/3'));

const kinds: [string, () => ImageDirectory][] = [
  ['a full dump', full],
  ['a chain of directories', chained],
  [
    'a dump on top of a snapshot',
    () => {
      const parent = parentOf(openImageDirectory(fixture('chain-4.1/2')));
      return openImageDirectory(fixture('chain-4.1/3'), { parent });
    },
  ],
];

const ways: [string, <T>(value: T) => T][] = [
  ['structuredClone', structuredClone],
  ['a message', posted],
  ['shared memory', (value) => posted(shared(value))],
];

describe.each(kinds)('%s', (_, open) => {
  it.each(ways)('reads the same after %s', (__, send) => {
    const directory = open();
    const parent = flatFilesOf(openImageDirectory(fixture('chain-4.1/2')));
    const expected = [...flatFilesOf(directory, parent)];
    const sent = send(directory);
    expect([...flatFilesOf(sent, parent)].map(([name]) => name)).toEqual(
      expected.map(([name]) => name),
    );
    for (const [name, bytes] of flatFilesOf(sent, parent)) {
      const before = expected.find(([other]) => other === name)?.[1] ?? Buffer.alloc(0);
      expect(Buffer.compare(bytes, before), name).toBe(0);
    }
    confirmUnchanged(sent);
  });

  it('has all of its bytes in memory of their own, which can be transferred', () => {
    const directory = open();
    const buffers = new Set<ArrayBuffer>();
    visitObjects(directory, (found) => {
      expect(typeof found).not.toBe('function');
      if (!isColumns(found)) return;
      expect([found.byteOffset, found.buffer.byteLength]).toEqual([0, found.byteLength]);
      buffers.add(found.buffer as ArrayBuffer);
    });
    expect(buffers.size).toBeGreaterThan(directory.entries.length);
    const expected = directory.spaces.map((space) => Array.from(space.runStart));
    const sent = posted(directory, [...buffers]);
    expect(sent.spaces.map((space) => Array.from(space.runStart))).toEqual(expected);
    expect(directory.spaces.every((space) => space.runStart.length === 0)).toBe(true);
  });
});

describe('a directory that was sent', () => {
  it('is known to have changed by its receiver', () => {
    const sent = structuredClone(full());
    appendFileSync(join(sent.path, 'criu.work', 'dump.log'), 'x');
    const changed = expect.objectContaining({
      code: 'INCOMPLETE',
      file: join(sent.path, 'criu.work', 'dump.log'),
      message: expect.stringMatching(/it had 3 bytes and has 4/),
    });
    expect(() => confirmUnchanged(sent)).toThrow(changed);
    expect(() => openEntry(entryNamed(sent, 'criu.work/dump.log'))).toThrow(changed);
  });

  it('shares its spaces with its entries as before', () => {
    const sent = structuredClone(full());
    const spaces = sent.entries.flatMap((entry) => entry.space ?? []);
    expect(spaces.length).toBe(4);
    expect(spaces.every((space) => sent.spaces.includes(space))).toBe(true);
  });
});

describe('a directory of many runs', () => {
  /** Every third page is in the parent, every third here, and every third nowhere. */
  function spread(count: number): ImageDirectory[] {
    const first: MadeRun[] = [{ start: 0, count: 3 * count }];
    const runs = Array.from({ length: 2 * count }, (_, i) => ({
      start: 3 * (i >>> 1) + (i & 1),
      count: 1,
      ...(i & 1 ? { flags: PE_PARENT } : {}),
    }));
    const space = { name: 'pagemap-1', pagesId: 1 };
    const parent = makeImageDirectory(newPath(), { spaces: [{ ...space, runs: first }] });
    const made = { parent, spaces: [{ ...space, runs }] };
    const path = makeImageDirectory(newPath(), made);
    const snapshot = parentOf(openImageDirectory(parent));
    return [openImageDirectory(path), openImageDirectory(path, { parent: snapshot })];
  }

  it('has columns, not objects, and less than 64 bytes a run', () => {
    const measure = (directory: ImageDirectory): { objects: number; bytes: number } => {
      let [objects, bytes] = [0, 0];
      visitObjects(directory, (found) => {
        objects += 1;
        if (isColumns(found)) bytes += found.byteLength;
      });
      return { objects, bytes };
    };
    const few = spread(8).map(measure);
    const many = spread(2048).map(measure);
    for (const [i, { objects, bytes }] of many.entries()) {
      expect(objects).toBe(few[i]?.objects);
      expect((bytes - (few[i]?.bytes ?? 0)) / (2 * 2040)).toBeLessThan(64);
    }
  });
});

describe('a reader of pieces', () => {
  it('closes every file even when the first has changed', () => {
    const root = newPath();
    const space = { name: 'pagemap-1', pagesId: 1 };
    for (const [name, runs] of [
      ['1', [{ start: 0, count: 3 }]],
      [
        '2',
        [
          { start: 0, count: 2, flags: PE_PARENT },
          { start: 2, count: 1 },
        ],
      ],
      [
        '3',
        [
          { start: 0, count: 1 },
          { start: 1, count: 2, flags: PE_PARENT },
        ],
      ],
    ] as const) {
      const made = { spaces: [{ ...space, runs }], parent: `../${Number(name) - 1}` };
      makeImageDirectory(join(root, name), made);
    }
    let open = 0;
    const files: typeof nodeFiles = {
      ...nodeFiles,
      open: (...values) => {
        open += 1;
        return nodeFiles.open(...values);
      },
      close: (fd) => {
        open -= 1;
        nodeFiles.close(fd);
      },
    };
    const { source } = entryNamed(openImageDirectory(join(root, '3')), 'pages-1.img');
    if (source === undefined) throw new Error('a file has a source');
    const reader = openContent(source, files);
    reader.read(new Uint8Array(3 * 4096), 0);
    expect(open).toBe(3);
    appendFileSync(join(root, '3', 'pages-1.img'), 'x');
    expect(() => reader.close()).toThrow(/3.pages-1\.img/);
    expect(open).toBe(0);
  });
});
