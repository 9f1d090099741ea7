import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, PlumblineError } from '../kernel/errors.js';
import type { Logger } from '../kernel/log.js';
import { Problem, titleOf } from './problem.js';

/** Every error leaves as a problem; what is unexpected is logged in full and answered without its insides. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = this.problemOf(error, request);
    for (const [name, value] of Object.entries(problem.options.headers ?? {})) reply.header(name, value);
    // A serialised body: the framework would otherwise write its own content type over the problem's.
    reply
      .header('content-type', 'application/problem+json')
      .status(problem.status)
      .send(JSON.stringify(problem.body()));
  }

  private problemOf(error: unknown, request: FastifyRequest): Problem {
    if (error instanceof Problem) return error;
    if (error instanceof HttpException) {
      const status = error.getStatus();
      if (status === 404)
        return new Problem(404, 'There is nothing at this path; GET /api/openapi.json lists what is.');
      if (status < 500) return new Problem(status, status === 400 ? 'The body is not valid JSON.' : titleOf(status));
    }
    const where = { method: request.method, route: request.routeOptions.url };
    if (isDatabaseAway(error)) {
      this.log.warn({ ...where, err: error }, 'request refused: the database is away');
      return new Problem(503, 'The database cannot be reached. Webhooks are still taken in; try again in a moment.', {
        headers: { 'retry-after': '5' },
      });
    }
    this.log.error({ ...where, err: error }, 'request failed');
    // Its message is written for people and holds no secret.
    if (error instanceof PlumblineError) {
      return new Problem(503, `${error.code}: ${error.message}. Runbook: ${ERRORS[error.code].runbook}`);
    }
    return new Problem(500, 'The log holds the reason.');
  }
}

/** Connection-level codes of Node and PostgreSQL (class 08 and 57P). */
const AWAY = /^(ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|08\w{3}|57P\d\d)$/;
/** pg says these without a code. */
const AWAY_MESSAGES = /Connection terminated|timeout exceeded when trying to connect|Query read timeout/i;

function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError && error.errors.some(isDatabaseAway)) return true;
  return ('code' in error && AWAY.test(String(error.code))) || AWAY_MESSAGES.test(error.message);
}
