import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { CLI_VARIABLES, VARIABLES } from '../../kernel/config.js';
import { messageOf } from '../../kernel/errors.js';
import { problemSchema } from '../problem.js';
import { CliFailure, EXIT } from './exit.js';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Query = Readonly<Record<string, string | undefined>>;

const DEADLINE_MS = 30_000;

/** The service's API, as the command line speaks to it. */
export class ApiClient {
  private readonly url: string;

  constructor(
    private readonly env: Environment,
    private readonly cwd: string,
  ) {
    this.url = (env['PLUMBLINE_URL'] ?? CLI_VARIABLES.PLUMBLINE_URL.default).replace(/\/+$/, '');
  }

  /**
   * @param answer the shape that is expected
   * @param options.accept further statuses whose body has that shape (`/healthz` answers 503 with it)
   * @throws CliFailure with the exit code that the answer means
   */
  async ask<Answer extends z.ZodType>(
    answer: Answer,
    method: string,
    path: string,
    options: { query?: Query; body?: unknown; accept?: number; anonymous?: boolean } = {},
  ): Promise<z.output<Answer>> {
    const query = Object.entries(options.query ?? {}).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const url = `${this.url}${path}${query.length > 0 ? `?${new URLSearchParams(query).toString()}` : ''}`;
    const response = await this.send(method, url, options);
    const text = await response.text();
    if (!response.ok && response.status !== options.accept) throw failureOf(response.status, text);
    const parsed = answer.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new CliFailure(EXIT.unavailable, `${this.url} answers, but not as this release of Plumbline does`);
  }

  private async send(
    method: string,
    url: string,
    { body, anonymous }: { body?: unknown; anonymous?: boolean },
  ): Promise<Response> {
    const token = anonymous ? undefined : this.token();
    try {
      return await fetch(url, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      throw new CliFailure(
        EXIT.unavailable,
        `${this.url} cannot be reached: ${messageOf(cause)}. Does the service run? PLUMBLINE_URL names another address.`,
      );
    }
  }

  private token(): string | undefined {
    if (this.env['PLUMBLINE_TOKEN']) return this.env['PLUMBLINE_TOKEN'];
    const dataDir = this.env['PLUMBLINE_DATA_DIR'] || VARIABLES.dataDir.default;
    const path = join(resolve(this.cwd, dataDir), 'admin-token');
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return undefined; // the service will say that a token is needed
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function failureOf(status: number, text: string): CliFailure {
  const problem = problemSchema.safeParse(parseJson(text));
  const lines = problem.success
    ? [
        `${problem.data.title}${problem.data.detail ? `: ${problem.data.detail}` : ''}`,
        ...(problem.data.errors ?? []).map(({ key, message }) => `  ${key === '' ? '' : `${key}: `}${message}`),
      ]
    : [`HTTP ${status}`];
  const hint = 'Set PLUMBLINE_TOKEN, or run where .plumbline/admin-token is.';
  if (status === 401) lines.push(hint);
  return new CliFailure(exitCodeOf(status), lines.join('\n'));
}

function exitCodeOf(status: number): number {
  if (status === 401 || status === 403 || status === 429) return EXIT.notAllowed;
  if (status === 400 || status === 413) return EXIT.usage;
  return status < 500 ? EXIT.no : EXIT.unavailable;
}
