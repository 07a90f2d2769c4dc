/** Writes bytes to a stream of the caller's, at the stream's own speed. */
import { finished } from 'node:stream/promises';

/**
 * Writes everything and ends the stream; chunks are copied, since theirs are used again.
 *
 * @param signal stops it even while the stream takes nothing.
 * @throws whatever the stream fails with, and an error when it is closed too early.
 */
export async function writeStream(
  stream: NodeJS.WritableStream,
  bytes: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const ended = finished(stream, { readable: false, ...(signal && { signal }) });
  // Somebody who closed the stream early is told by the next write, or at the end.
  ended.catch(() => undefined);
  for await (const chunk of bytes) {
    const goesOn = stream.write(Buffer.from(chunk));
    if (!goesOn) await Promise.race([drained(stream), ended]);
  }
  stream.end();
  await ended;
}

async function drained(stream: NodeJS.WritableStream): Promise<void> {
  await new Promise<void>((resolve) => stream.once('drain', resolve));
}
