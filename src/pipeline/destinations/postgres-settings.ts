import pg from 'pg';
import { z } from 'zod';
import { messageOf } from '../../kernel/errors.js';
import { withoutSecrets } from './outcome.js';
import { quotedTable } from './postgres-rows.js';

export const POSTGRES_SETTINGS = z.strictObject({
  url: z.string().regex(/^postgres(?:ql)?:\/\//, 'must be a postgres:// URL'),
  table: z
    .string()
    .refine((table) => quotedTable(table) !== null, 'must be a lower-case table name, optionally schema.table')
    .default('plumbline_events'),
});
export type PostgresSettings = z.infer<typeof POSTGRES_SETTINGS>;

const CREDENTIALS = /^28/;

/** The password in a URL, as written and as it is meant: a driver may quote either. */
function secretsOf(url: string): string[] {
  if (!URL.canParse(url)) return [url];
  const { password } = new URL(url);
  return [password, new URLSearchParams(`password=${password.replaceAll('+', '%2B')}`).get('password') ?? ''];
}

/** What a warehouse's failure said, without the password. */
export function sayingOf(error: unknown, { url }: PostgresSettings): string {
  return withoutSecrets(messageOf(error), secretsOf(url));
}

/** The same for a failure that somebody has to mend, with its SQLSTATE. */
export function troubleOf(error: unknown, settings: PostgresSettings): string {
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  const what = CREDENTIALS.test(code) ? 'credentials rejected: ' : code === '' ? '' : `SQLSTATE ${code}: `;
  return `${what}${sayingOf(error, settings)}`;
}
