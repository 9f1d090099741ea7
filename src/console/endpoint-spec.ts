import type { z } from 'zod';
import type { TokenRole } from '../kernel/auth.js';

/** Metadata key under which a handler carries its spec. */
export const ENDPOINT = Symbol('endpoint');

/** One row of the route table. */
export interface EndpointSpec {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `/api/v1/shops/:domain` */
  path: string;
  summary: string;
  /** The least role a token needs; `public` = no token. */
  role: TokenRole | 'public';
  params?: z.ZodType;
  query?: z.ZodType;
  body?: z.ZodType;
  /** What a success looks like (documentation, and what tests hold answers against). */
  answer: z.ZodType;
  /** Default 200. */
  status?: number;
  /** Problems besides 400, 401, 403, 429 and 500, with when. */
  problems?: Readonly<Record<number, string>>;
}
