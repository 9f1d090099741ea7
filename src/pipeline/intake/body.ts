import type { IncomingMessage } from 'node:http';

export const BODY_BYTES_MAX = 8 * 1024 * 1024;

/** What became of a request's body: the bytes, too many of them, or a sender that left. */
export type BodyEnd = { end: 'complete'; body: Buffer } | { end: 'too-large' } | { end: 'aborted' };

/** Nothing but headers will come. */
export function hasNoBody(req: IncomingMessage): boolean {
  const announced = req.headers['content-length'];
  return (announced === undefined || announced === '0') && req.headers['transfer-encoding'] === undefined;
}

/** Too large by its own account, before a byte is read. */
export function announcesTooMuch(req: IncomingMessage): boolean {
  const announced = req.headers['content-length'];
  return announced !== undefined && Number(announced) > BODY_BYTES_MAX;
}

/**
 * Collects the raw body. Calls back exactly once; afterwards the request's further bytes are dropped as they come.
 *
 * @param mayKeep hears of every chunk, for a common account of memory; false = nobody waits for this body any more
 */
export function readBody(
  req: IncomingMessage,
  mayKeep: (bytes: number) => boolean,
  done: (end: BodyEnd) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let finished = false;
  const finish = (end: BodyEnd): void => {
    if (finished) return;
    finished = true;
    done(end);
  };
  req.on('data', (chunk: Buffer) => {
    if (finished) return;
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      chunks.length = 0;
      return finish({ end: 'too-large' });
    }
    if (mayKeep(chunk.length)) chunks.push(chunk);
    else chunks.length = 0;
  });
  req.on('end', () => {
    const [only] = chunks;
    finish({ end: 'complete', body: chunks.length === 1 && only ? only : Buffer.concat(chunks, bytes) });
  });
  // After 'end' these are too late to matter. Without a listener an 'error' would end the process.
  req.on('error', () => finish({ end: 'aborted' }));
  req.on('close', () => finish({ end: 'aborted' }));
}
