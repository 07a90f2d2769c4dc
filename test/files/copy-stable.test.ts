/** A copy of files that somebody writes to: of one moment, or none. */
import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { copyStable, type FileToCopy } from '../../src/files/copy-stable.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openDescriptors } from '../support/doors.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** Two files, the second optional, and where their copies go. */
function pair(): [FileToCopy, FileToCopy] {
  const [main, log] = [nextPath(), nextPath()];
  writeFileSync(main, 'main 0');
  writeFileSync(log, 'log 0');
  return [
    { from: main, to: nextPath(), optional: false },
    { from: log, to: nextPath(), optional: true },
  ];
}

/** The door, and what to do before each file is copied, counted from 1. */
function disturbed(disturb: (count: number) => void): Files {
  let count = 0;
  return {
    ...nodeFiles,
    copyApart: (from, to) => {
      disturb(++count);
      nodeFiles.copyApart(from, to);
    },
  };
}

describe('copyStable', () => {
  it('copies files that hold still, over what is there', () => {
    const list = pair();
    writeFileSync(list[0].to, 'a longer text from before');
    const before = openDescriptors();
    copyStable(nodeFiles, list);
    expect(list.map(({ to }) => readFileSync(to, 'utf8'))).toEqual(['main 0', 'log 0']);
    expect(openDescriptors()).toBe(before);
  });

  it.each([0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1])('copies %d bytes', (length) => {
    const file = { from: nextPath(), to: nextPath(), optional: false };
    const content = Buffer.alloc(length, 'pattern');
    writeFileSync(file.from, content);
    copyStable(nodeFiles, [file]);
    expect(readFileSync(file.to).equals(content)).toBe(true);
  });

  it('copies again when one of them changed meanwhile, so that they fit together', () => {
    const list = pair();
    const files = disturbed((count) => {
      // The first file has been copied when this changes both.
      if (count !== 2 && count !== 4) return;
      writeFileSync(list[0].from, 'm'.repeat(10 * count));
      writeFileSync(list[1].from, 'l'.repeat(10 * count));
    });
    copyStable(files, list);
    expect(list.map(({ to }) => readFileSync(to, 'utf8'))).toEqual([
      'm'.repeat(40),
      'l'.repeat(40),
    ]);
  });

  describe('of a log', () => {
    const HEAD = 'h'.repeat(32);
    const logOf = (text: string): FileToCopy => {
      const from = nextPath();
      writeFileSync(from, text);
      return { from, to: nextPath(), optional: true, isLog: true };
    };

    it('takes one that only grows meanwhile as it was', () => {
      const log = logOf(`${HEAD} one`);
      let copies = 0;
      const files: Files = {
        ...nodeFiles,
        copyApart: (from, to) => {
          nodeFiles.copyApart(from, to);
          appendFileSync(log.from, ` and ${++copies} more`);
        },
      };
      copyStable(files, [log]);
      expect([copies, readFileSync(log.to, 'utf8')]).toEqual([1, `${HEAD} one`]);
    });

    it.each([
      ['begins anew', `${'H'.repeat(32)} two`],
      ['becomes shorter', HEAD],
    ])('copies one again that %s meanwhile', (_, text) => {
      const log = logOf(`${HEAD} one`);
      const files = disturbed((count) => {
        if (count === 1) writeFileSync(log.from, text);
      });
      copyStable(files, [log]);
      expect(readFileSync(log.to, 'utf8')).toBe(text);
    });

    it('does not take one without a whole head for one that grows', () => {
      const log = logOf('short');
      const files = disturbed((count) => {
        if (count === 1) appendFileSync(log.from, 'er');
      });
      let copies = 0;
      const counting: Files = {
        ...files,
        copyApart: (from, to) => {
          copies += 1;
          files.copyApart(from, to);
        },
      };
      copyStable(counting, [log]);
      expect([copies, readFileSync(log.to, 'utf8')]).toEqual([2, 'shorter']);
    });
  });

  it('leaves no copy of an optional file that goes away meanwhile', () => {
    const list = pair();
    const files: Files = {
      ...nodeFiles,
      copyApart: (from, to) => {
        nodeFiles.copyApart(from, to);
        if (from === list[1].from) rmSync(from);
      },
    };
    copyStable(files, list);
    expect([existsSync(list[0].to), existsSync(list[1].to)]).toEqual([true, false]);
  });

  it('starts again when a file goes away between the look at it and its opening', () => {
    const list = pair();
    const files = disturbed((count) => {
      if (count === 2) rmSync(list[1].from);
    });
    copyStable(files, list);
    expect([readFileSync(list[0].to, 'utf8'), existsSync(list[1].to)]).toEqual(['main 0', false]);
  });

  it('starts again when a file goes away before its copy, and is back right after it', () => {
    const list = pair();
    const [, { from }] = list;
    let copies = 0;
    const files: Files = {
      ...nodeFiles,
      copyApart: (path, to) => {
        copies += 1;
        if (path === from && copies === 2) renameSync(from, `${from}.away`);
        try {
          nodeFiles.copyApart(path, to);
        } finally {
          if (existsSync(`${from}.away`)) renameSync(`${from}.away`, from);
        }
      },
    };
    copyStable(files, list);
    expect(copies).toBe(4);
    expect(list.map(({ to }) => readFileSync(to, 'utf8'))).toEqual(['main 0', 'log 0']);
  });

  it('says why a file that holds still cannot be copied, after a few attempts', () => {
    const list = pair();
    let copies = 0;
    const files = disturbed((count) => {
      copies = count;
      throw new Error('no room');
    });
    expect(() => copyStable(files, list)).toThrow(
      expect.objectContaining({ code: 'STORAGE', file: list[0].from }),
    );
    expect(copies).toBe(3);
  });

  it('gives up on files that never hold still', () => {
    const list = pair();
    const files = disturbed((count) => writeFileSync(list[0].from, 'x'.repeat(count)));
    expect(() => copyStable(files, list)).toThrow(
      expect.objectContaining({ code: 'LOCKED', file: list[0].from }),
    );
  });

  it('insists on the files that are not optional', () => {
    const list = pair();
    rmSync(list[1].from);
    copyStable(nodeFiles, list);
    expect(existsSync(list[1].to)).toBe(false);
    rmSync(list[0].from);
    expect(() => copyStable(nodeFiles, list)).toThrow(
      expect.objectContaining({ code: 'CORRUPT', file: list[0].from }),
    );
  });
});
