/** Numbers of bytes as people write them: `4096`, `500M`, `1.5G`, `2Gi`. */
import { InvalidArgumentError } from 'commander';

const COUNT = /^(\d+(?:\.\d+)?)([KMGT]?)(i?)B?$/i;
const POWERS = ['', 'K', 'M', 'G', 'T'];

/** Reads a number of bytes: K, M, G and T are decimal, Ki, Mi, Gi and Ti binary. */
export function parseByteCount(text: string): number {
  const [, number = '', unit = '', binary = ''] = COUNT.exec(text) ?? [];
  const bytes = Math.floor(
    Number(number) * (binary === '' ? 1000 : 1024) ** POWERS.indexOf(unit.toUpperCase()),
  );
  const isMeant = number !== '' && (unit !== '' || binary === '');
  if (isMeant && Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError('A number of bytes is like 4096, 500M or 2Gi.');
}
