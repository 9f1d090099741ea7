import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './problem.js';

const BODY_WITHIN_MS = 10_000;
const RETRY_AFTER_SECONDS = '60';

/**
 * For what others call in their own ways, beside the API: every content type, the body as it came (it is what is signed),
 * within a time and a size.
 */
export function takeRawBodies(scope: FastifyInstance, bytesMax: number): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request: FastifyRequest, body: Readable, parsed) => {
    readBody(body, bytesMax, parsed);
  });
  scope.setErrorHandler((error: unknown, _request, reply) => {
    const problem = error instanceof Problem ? error : new Problem(statusOf(error));
    return sendInboundProblem(reply, problem);
  });
}

function readBody(body: Readable, bytesMax: number, done: (error: Error | null, bytes?: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  const end = (error: Error | null, result?: Buffer): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    body.resume(); // what is still to come is read and dropped, so that the sender hears the answer
    done(error, result);
  };
  const timer = setTimeout(
    () => end(new Problem(408, 'The body did not arrive in time; send it again.')),
    BODY_WITHIN_MS,
  );
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) return end(new Problem(413, `The body is larger than ${bytesMax} bytes.`));
    if (!isOver) chunks.push(chunk);
  });
  body.once('end', () => end(null, Buffer.concat(chunks, bytes)));
  body.once('error', () => end(new Problem(400, 'The body was cut.')));
  body.once('close', () => end(new Problem(400, 'The body was cut.')));
}

function statusOf(error: unknown): number {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

export function sendInboundProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  for (const [name, value] of Object.entries(problem.options.headers ?? {})) reply.header(name, value);
  if (problem.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  // After a refusal in mid-body the connection has no next request.
  if (problem.status === 408 || problem.status === 413) reply.header('connection', 'close');
  return (
    reply
      .header('content-type', 'application/problem+json')
      .status(problem.status)
      // The API's titles speak of tokens; here there are none.
      .send(JSON.stringify({ ...problem.body(), title: STATUS_CODES[problem.status] ?? 'Refused' }))
  );
}
