/**
 * Looks at a directory as completely as the kernel tells: whatever of a tree could get lost on the
 * way through a store is in its listing. Two trees are the same when their listings are equal.
 *
 * Python does the looking (it is there wherever native modules are built), because Node.js can
 * neither read extended attributes nor ask for holes. Left out is what a file system decides by
 * itself: sizes and link counts of directories, inode numbers, access and change times.
 */
import { execFileSync } from 'node:child_process';

/** What a listing leaves out on demand. */
export interface ListingOptions {
  /** Whether it matters where files have holes, which file systems do not all keep. */
  readonly holes?: boolean;
}

/** Enough for a million paths. */
const OUTPUT_BYTES = 1024 * 1024 * 1024;

// Going into each directory, so that a path may be longer than the kernel takes in one call.
const PROGRAM = `
import errno, hashlib, json, os, stat, sys

sys.setrecursionlimit(100000)
holes = sys.argv[2] == 'holes'
first_names = {}
types = {
    stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'link', stat.S_IFIFO: 'fifo',
    stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'character', stat.S_IFBLK: 'block',
}

def text(some_bytes):
    return some_bytes.decode('latin1')

def xattrs_of(name):
    found = {}
    for key in sorted(os.listxattr(name, follow_symlinks=False)):
        found[key] = os.getxattr(name, key, follow_symlinks=False).hex()
    return found

def data_runs_of(file, size):
    runs, end = [], 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        end = os.lseek(file, start, os.SEEK_HOLE)
        runs.append([start, end])
    return runs

def content_of(name, size):
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW), 'rb') as file:
        runs = {'data': data_runs_of(file.fileno(), size)} if holes else {}
        file.seek(0)
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(1048576), b''):
            digest.update(chunk)
        return {'size': size, 'sha256': digest.hexdigest(), **runs}

def visit(name, path):
    facts = os.lstat(name)
    kind = types[stat.S_IFMT(facts.st_mode)]
    line = {
        'path': text(path), 'type': kind, 'mode': oct(stat.S_IMODE(facts.st_mode))[2:],
        'uid': facts.st_uid, 'gid': facts.st_gid, 'mtime': str(facts.st_mtime_ns),
    }
    if kind == 'file':
        line.update(content_of(name, facts.st_size))
    elif kind == 'link':
        line['target'] = text(os.readlink(name))
    elif kind in ('character', 'block'):
        line['device'] = [os.major(facts.st_rdev), os.minor(facts.st_rdev)]
    if kind != 'directory':
        line['links'] = facts.st_nlink
        if facts.st_nlink > 1:
            line['sameAs'] = first_names.setdefault((facts.st_dev, facts.st_ino), text(path))
    line['xattrs'] = xattrs_of(name)
    print(json.dumps(line))
    if kind == 'directory':
        os.chdir(name)
        for child in sorted(os.listdir(b'.')):
            visit(child, child if path == b'.' else path + b'/' + child)
        os.chdir(b'..')

os.chdir(os.fsencode(sys.argv[1]))
visit(b'.', b'.')
`;

/**
 * One line of JSON for each path below `directory` and for itself, in the order of their bytes, a
 * directory before what is in it. Names are shown as latin1, so that every byte of them counts;
 * `sameAs` is the first path that has the same inode.
 */
export function listTree(directory: string, { holes = true }: ListingOptions = {}): string[] {
  const parameters = ['-I', '-S', '-c', PROGRAM, directory, holes ? 'holes' : 'no holes'];
  const lines = execFileSync('python3', parameters, {
    encoding: 'utf8',
    stdio: 'pipe',
    maxBuffer: OUTPUT_BYTES,
  });
  return lines.trimEnd().split('\n');
}
