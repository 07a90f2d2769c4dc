/**
 * Random trees that evolve over captures: whatever happens to files, to what is remembered of them,
 * and to snapshots between, each snapshot that is left comes out as the tree it was taken of.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  expectFiles,
  letSettle,
  listingOf,
  nextStamp,
  openFilesStore,
  python,
} from '../support/captured-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const CASES = Number(process.env['CRIU_TIMELINE_CASES'] ?? 4);
const CAPTURES = 5;

/** Makes a tree, or changes what is there, at random: some operations, of every kind. */
const OPERATIONS = `
def evolve(seed, count):
    chance = random.Random(seed)
    sizes = (0, 1, 100, 4095, 4096, 4097, 9000, 40000, 300000, 1200000)
    def all_paths():
        found = []
        for top, directories, names in os.walk(b'.'):
            found += [os.path.join(top, name) for name in directories + names]
        return sorted(found)
    def some(kind):
        paths = [path for path in all_paths() if kind(path)]
        return chance.choice(paths) if paths else None
    plain = lambda path: os.path.isfile(path) and not os.path.islink(path)
    folder = lambda path: os.path.isdir(path) and not os.path.islink(path)
    def fresh():
        stem = chance.choice((b'a', b'b', b'a.b', b'\\xff', b'n\\n', b'x' * 200, b'0'))
        name = stem + b'%d' % chance.randrange(9)
        return os.path.join(some(folder) or b'.', name) if chance.random() < 0.7 else b'./' + name
    def content():
        size = chance.choice(sizes)
        if chance.random() < 0.2: return bytes(size)
        return noise(chance.randrange(20), size)
    def remove(path):
        if folder(path): shutil.rmtree(path)
        else: os.remove(path)
    def clear(path):
        if os.path.lexists(path): remove(path)
        return path
    def act(what):
        path = fresh()
        file = some(plain)
        if what == 'write': write(clear(path), content())
        elif what == 'folder': os.mkdir(clear(path))
        elif what == 'sparse':
            size = chance.choice(sizes)
            part = lambda: (chance.randrange(size), b'data' * chance.randrange(1, 3000))
            sparse(clear(path), size, [part() for i in range(3 if size else 0)])
        elif what == 'link': os.symlink(chance.choice((b'.', b'/etc/passwd', b'gone')), clear(path))
        elif what == 'fifo': os.mkfifo(clear(path))
        elif what == 'remove':
            gone = some(lambda path: True)
            if gone: remove(gone)
        elif what == 'rename':
            old = some(lambda path: True)
            apart = old and not path.startswith(old) and not old.startswith(path)
            if apart: os.rename(old, clear(path))
        elif what == 'mode':
            old = some(lambda path: not os.path.islink(path))
            if old: os.chmod(old, chance.choice((0o644, 0o755, 0o4755, 0)))
        elif what == 'time':
            old = some(lambda path: True)
            if old: os.utime(old, ns=(0, chance.randrange(10**18)), follow_symlinks=False)
        elif file is None: return
        elif what == 'hard': os.link(file, path)
        elif what == 'xattr': os.setxattr(file, 'user.x', noise(seed, chance.randrange(1, 200)))
        elif what == 'grow': write(file, content(), 'ab')
        elif what == 'cut': os.truncate(file, os.stat(file).st_size * chance.randrange(4) // 3)
        elif what == 'patch':
            with open(file, 'r+b') as opened:
                opened.seek(chance.randrange(os.stat(file).st_size + 1))
                opened.write(noise(chance.randrange(99), chance.randrange(1, 5000)))
        elif what == 'copy' and not os.path.lexists(path): shutil.copy2(file, path)
    kinds = 'write write write folder folder sparse link fifo remove rename rename mode time'
    kinds += ' hard hard xattr grow cut patch patch copy'
    for i in range(count):
        try: act(chance.choice(kinds.split()))
        except (FileExistsError, FileNotFoundError): pass
`;

/** What happens to the store before a capture. */
type Event = 'nothing' | 'cache gone' | 'cache damaged' | 'no files' | 'branch' | 'remove';

const moment = fc.record({
  seed: fc.nat(1_000_000),
  operations: fc.integer({ min: 0, max: 12 }),
  event: fc.constantFrom<Event>(
    'nothing',
    'nothing',
    'cache gone',
    'cache damaged',
    'no files',
    'branch',
    'remove',
  ),
});

function damageCache(directory: string, seed: number): void {
  const cache = join(directory, 'cache');
  for (const name of readdirSync(cache)) {
    const bytes = readFileSync(join(cache, name));
    if (bytes.length === 0) continue;
    const at = seed % bytes.length;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(join(cache, name), bytes, { flag: 'r+' });
  }
}

async function live(
  first: number,
  moments: readonly { seed: number; operations: number; event: Event }[],
): Promise<void> {
  const { store, capture } = await openFilesStore(newPath);
  const upper = python(newPath(), `${OPERATIONS}evolve(${first}, 60)`);
  const listings = new Map<string, readonly string[]>();
  const take = async (parent?: string): Promise<void> => {
    nextStamp();
    const snapshot = await capture(upper, parent === undefined ? {} : { parent });
    listings.set(snapshot.id, listingOf(upper));
  };
  await take();
  for (const { seed, operations, event } of moments) {
    python(upper, `${OPERATIONS}evolve(${seed}, ${operations})`);
    const ids = [...listings.keys()];
    const one = ids[seed % ids.length];
    if (event === 'cache damaged') damageCache(store.directory, seed);
    if (event === 'cache gone') {
      for (const name of readdirSync(join(store.directory, 'cache'))) {
        rmSync(join(store.directory, 'cache', name), { recursive: true });
      }
    }
    if (event === 'no files') await capture();
    if (event === 'remove' && one !== undefined && ids.length > 1) {
      await store.snapshot(one).remove();
      listings.delete(one);
    }
    await take(event === 'branch' ? one : undefined);
  }
  for (const [id, listing] of listings) await expectFiles(store.snapshot(id), listing, newPath);
  expect((await store.verify()).problems).toEqual([]);
  await store.close();
  rmSync(store.directory, { recursive: true });
  rmSync(upper, { recursive: true });
}

test(
  'a tree that evolves comes out of every capture as it was',
  async () => {
    letSettle();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1_000_000),
        fc.array(moment, { minLength: CAPTURES - 1, maxLength: CAPTURES - 1 }),
        live,
      ),
      { numRuns: CASES, endOnFailure: true },
    );
  },
  CASES * 30_000,
);
