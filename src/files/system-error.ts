/** Errors of the operating system, made to look like those that Node.js makes. */
import os from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** An error with `code`, `errno` and `syscall` for a number of errno.h. */
export function systemError(errno: number, syscall: string, path?: string): Error {
  const [code, description] = getSystemErrorMap().get(-errno) ?? [nameOf(errno), 'system error'];
  const place = path === undefined ? '' : ` '${path}'`;
  const error = new Error(`${code}: ${description}, ${syscall}${place}`);
  return Object.assign(error, { code, errno: -errno, syscall, path });
}

/** libuv does not know them all. */
function nameOf(errno: number): string {
  const known = Object.entries(os.constants.errno).find(([, value]) => value === errno);
  return known?.[0] ?? `errno ${errno}`;
}
