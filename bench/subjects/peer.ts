/**
 * The form that all peers have: a shell line for each dump, in its directory, with variables.
 *
 * | variable       |                                                        |
 * | -------------- | ------------------------------------------------------ |
 * | `$REPOSITORY`  | what is kept                                           |
 * | `$SCRATCH`     | what is not                                            |
 * | `$DUMP`        | name of the dump                                       |
 * | `$PREVIOUS`    | name of the one before; empty for the first            |
 * | `$CHAIN`       | names of all from the first to this one (restore only) |
 * | `$TARGET`      | where to restore (restore only); absent                |
 */
import type { Program } from '../process/programs.ts';
import type { ShellCommand } from '../process/shell.ts';
import type { Place, Subject } from './subject.ts';

/** What tells one peer from another. */
export interface PeerLines {
  readonly name: string;
  readonly needs: readonly Program[];
  readonly version: string;
  readonly prepare?: string;
  readonly store: string;
  readonly restore: string;
  /** Variables of its own. */
  readonly variables?: (place: Place) => Readonly<Record<string, string>>;
  readonly cacheName?: string;
}

/** A subject made of shell lines. */
export function peer(lines: PeerLines): Subject {
  const { name, needs, version, cacheName } = lines;
  const command = (
    line: string,
    cwd: string,
    place: Place,
    variables: Readonly<Record<string, string>> = {},
  ): ShellCommand => ({
    line,
    cwd,
    variables: {
      REPOSITORY: place.repository,
      SCRATCH: place.scratch,
      ...lines.variables?.(place),
      ...variables,
    },
  });
  return {
    name,
    needs,
    version,
    ...(cacheName === undefined ? {} : { cacheName }),
    prepare: (place) =>
      lines.prepare === undefined ? [] : [command(lines.prepare, place.scratch, place)],
    store: (place, dumps) =>
      dumps.map((dump, index) => {
        const previous = dumps[index - 1]?.name ?? '';
        const variables = { DUMP: dump.name, PREVIOUS: previous };
        return command(lines.store, dump.path, place, variables);
      }),
    restore: (place, dumps, index, target) => {
      const chain = dumps.slice(0, index + 1).map((dump) => dump.name);
      const variables = { DUMP: chain.at(-1) ?? '', CHAIN: chain.join(' '), TARGET: target };
      return [command(lines.restore, place.scratch, place, variables)];
    },
  };
}
