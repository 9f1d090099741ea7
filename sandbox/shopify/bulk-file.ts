import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/**
 * Serves a result as a storage bucket does: whole or from a byte on, compressed when that is taken and no range is asked.
 *
 * @param isCut ends half-way, as a lost connection does
 */
export async function serveFile(
  request: IncomingMessage,
  response: ServerResponse,
  slices: readonly Buffer[],
  isCut: boolean,
): Promise<void> {
  const size = slices.reduce((sum, { length }) => sum + length, 0);
  const from = /^bytes=(?<from>\d+)-$/.exec(request.headers.range ?? '')?.groups?.from;
  const fromByte = Number(from ?? 0);
  response.setHeader('Content-Type', 'application/jsonl');
  if (from !== undefined && fromByte >= size) {
    response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    return;
  }
  const isGzip = from === undefined && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  if (from !== undefined) response.setHeader('Content-Range', `bytes ${fromByte}-${size - 1}/${size}`);
  if (isGzip) response.setHeader('Content-Encoding', 'gzip');
  else response.setHeader('Content-Length', size - fromByte);
  response.writeHead(from === undefined ? 200 : 206);
  const until = isCut ? fromByte + Math.ceil((size - fromByte) / 2) : size;
  const body = Readable.from(between(slices, fromByte, until), { objectMode: false });
  try {
    if (isGzip) await pipeline(body, createGzip(), response, { end: !isCut });
    else await pipeline(body, response, { end: !isCut });
  } catch {
    // the caller went away
  }
  if (isCut) response.socket?.end(); // after what was written, and without the end that the protocol wants
}

function* between(slices: readonly Buffer[], from: number, until: number): Generator<Buffer> {
  let at = 0;
  for (const slice of slices) {
    const part = slice.subarray(Math.max(0, from - at), Math.max(0, until - at));
    if (part.length > 0) yield part;
    at += slice.length;
  }
}
