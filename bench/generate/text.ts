/** Text that follows from a seed: words for small files, and the lines of a server's log. */
import { mixed, Random } from './random.ts';

const WORDS = (
  'server port host timeout retry cache queue worker session token user account order item ' +
  'price stock status active enabled default limit offset region bucket signature created ' +
  'updated deleted version schema index column value string number boolean true false null'
).split(' ');
const PATHS = ['/', '/login', '/cart', '/orders', '/api/items', '/api/users', '/static/app.js'];
const LEVELS = ['INFO', 'INFO', 'INFO', 'DEBUG', 'WARN'];

/** Lines of `word = number`, exactly `sizeBytes` of them. */
export function settingsText(seed: number, sizeBytes: number): string {
  const random = new Random(seed);
  let text = '';
  while (text.length < sizeBytes) {
    const bits = random.next();
    text += `${WORDS[bits % WORDS.length] ?? ''}.${WORDS[(bits >>> 8) % WORDS.length] ?? ''} = `;
    text += `${random.next().toString(36)}\n`;
  }
  return text.slice(0, sizeBytes);
}

/** The line with this number, some 110 bytes, with its end. */
export function logLine(number: number): string {
  const bits = mixed(7, number);
  const time = new Date(1_790_000_000_000 + number * 3).toISOString();
  const level = LEVELS[bits % LEVELS.length] ?? '';
  const path = PATHS[(bits >>> 4) % PATHS.length] ?? '';
  const client = `10.0.${(bits >>> 8) & 7}.${(bits >>> 12) & 255}`;
  const request = `${path}/${bits >>> 20} 200 ${((bits >>> 16) % 4000) / 10} ms`;
  const id = mixed(8, number).toString(16).padStart(8, '0');
  return `${time} ${level} [worker-${bits & 3}] ${client} GET ${request} id=${id}\n`;
}
