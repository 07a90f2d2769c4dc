import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeProcesses, type ReadImage } from '../../src/criu/index.ts';
import { fixture } from '../support/fixtures.ts';
import { madeImage, messagePiece } from '../support/image-directories.ts';

function readFrom(directory: string): ReadImage {
  return (name) => {
    const path = join(directory, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
}

describe('describeProcesses', () => {
  it('lists the processes of a real dump, with their threads and programs', () => {
    const zoo = {
      command: 'zoo',
      executable: '/srv/programs/zoo',
      state: 'alive',
      architecture: 'X86_64',
      groupId: 6921,
      sessionId: 6921,
    };
    expect(describeProcesses(readFrom(fixture('zoo-4.2/001')))).toEqual([
      { ...zoo, pid: 6921, parentPid: 0, threadIds: [6921, 6923, 6924] },
      { ...zoo, pid: 6925, parentPid: 6921, threadIds: [6925] },
    ]);
  });

  it('leaves undefined what no image tells', () => {
    const pstree = madeImage('PSTREE', [
      messagePiece('pstree_entry', { pid: 5, ppid: 0, pgid: 5, sid: 5 }),
    ]);
    const [process] = describeProcesses((name) => (name === 'pstree.img' ? pstree : undefined));
    expect(process).toMatchObject({ pid: 5, threadIds: [], state: 'unknown' });
    expect(process?.command).toBeUndefined();
    expect(process?.executable).toBeUndefined();
  });

  it('finds programs in reg-files.img, where CRIU kept them until 3.3', () => {
    const read = readFrom(fixture('zoo-4.2/001'));
    const fown = { uid: 0, euid: 0, signum: 0, pid_type: 0, pid: 0 };
    const name = new TextEncoder().encode('/old/zoo');
    const regFiles = madeImage('REG_FILES', [
      messagePiece('reg_file_entry', { id: 1, flags: 0, pos: 0n, fown, name }),
    ]);
    const [process] = describeProcesses((image) =>
      image === 'reg-files.img' ? regFiles : image === 'files.img' ? undefined : read(image),
    );
    expect(process?.executable).toBe('/old/zoo');
  });

  it('refuses a dump without a pstree, and images that are something else', () => {
    const invalid = expect.objectContaining({ code: 'INVALID_IMAGE' });
    expect(() => describeProcesses(() => undefined)).toThrow(invalid);
    const read = readFrom(fixture('zoo-4.2/001'));
    expect(() =>
      describeProcesses((name) => read(name.startsWith('core') ? 'pstree.img' : name)),
    ).toThrow(invalid);
  });
});
