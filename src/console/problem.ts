import { z } from 'zod';

/** One thing wrong with a request: where, which key, what is expected. Never repeats the value. */
export interface RequestFault {
  in: 'path' | 'query' | 'body';
  key: string;
  message: string;
}

/** An error as RFC 9457 says it: `application/problem+json`. */
export const problemSchema = z
  .strictObject({
    type: z.string().meta({ description: 'What kind of problem; about:blank = the status says it all.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional().meta({ description: 'What failed and what to do next.' }),
    errors: z
      .array(
        z.strictObject({
          in: z.enum(['path', 'query', 'body']),
          key: z.string(),
          message: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ description: 'RFC 9457 problem details' });
export type ProblemBody = z.output<typeof problemSchema>;

const TITLES: Record<number, string> = {
  400: 'The request has faults',
  401: 'A valid API token is needed',
  403: 'This token may not do that',
  404: 'Not found',
  405: 'Not allowed here',
  409: 'Conflicts with what is there',
  413: 'The body is too large',
  415: 'This media type is not understood',
  429: 'Too many failed attempts',
  500: 'Something went wrong on our side',
  503: 'Not available right now',
};

export function titleOf(status: number): string {
  return TITLES[status] ?? `HTTP ${status}`;
}

/** A request that is answered with a problem. Thrown by endpoints; nothing in it is secret. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail?: string,
    readonly options: { errors?: readonly RequestFault[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail ?? titleOf(status));
    this.name = 'Problem';
  }

  body(): ProblemBody {
    return {
      type: 'about:blank',
      title: titleOf(this.status),
      status: this.status,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.options.errors ? { errors: [...this.options.errors] } : {}),
    };
  }
}
