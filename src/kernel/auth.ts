import { createHash, timingSafeEqual } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from './clock.js';
import type { Database } from './database.js';
import { recordAudit } from './audit.js';
import { PlumblineError, messageOf } from './errors.js';
import type { Ids } from './random.js';

/** Each may do what the ones before it may. */
export const TOKEN_ROLES = ['viewer', 'responder', 'admin'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

/** Who asks. */
export interface Caller {
  /** The token's id, a decimal string. */
  tokenId: string;
  /** The token's name: the actor of the audit log. */
  name: string;
  role: TokenRole;
}

export function mayAct(role: TokenRole, needed: TokenRole): boolean {
  return TOKEN_ROLES.indexOf(role) >= TOKEN_ROLES.indexOf(needed);
}

export interface TokenView {
  id: string;
  name: string;
  role: TokenRole;
  createdAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

/** 256 random bits: nobody guesses it, so a plain fast hash keeps it. */
const TOKEN_BYTES = 32;
const PREFIX = 'plb_';
/** The name of the token that comes with the service. */
const FIRST = 'first-admin';
const TOKEN_FILE = 'admin-token';
/** `last_used_at` is written once a minute at most: a look-up a request must not become a write a request. */
const USED_EVERY_MS = 60_000;

const FIND = `
select id::text, name, role, token_hash, last_used_at from kernel.api_token
 where token_hash = $1 and revoked_at is null`;
const TOUCH = `update kernel.api_token set last_used_at = $2 where id = $1`;
const LIST = `
select id::text, name, role, created_at as "createdAt", last_used_at as "lastUsedAt", revoked_at as "revokedAt"
  from kernel.api_token order by id`;
const INSERT = `
insert into kernel.api_token (name, role, token_hash, created_at) values ($1, $2, $3, $4)
returning id::text, name, role, created_at as "createdAt", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`;
const REVOKE = `
update kernel.api_token set revoked_at = coalesce(revoked_at, $2) where id = $1
returning id::text, name, role, created_at as "createdAt", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`;
/** A changed PLUMBLINE_ADMIN_TOKEN ends the one before it. */
const REVOKE_EARLIER_FIRST = `
update kernel.api_token set revoked_at = $3 where name = $1 and token_hash <> $2 and revoked_at is null`;
const INSERT_FIRST = `
insert into kernel.api_token (name, role, token_hash, created_at) values ($1, 'admin', $2, $3)
on conflict (token_hash) do nothing`;

interface TokenRow extends Record<string, unknown> {
  id: string;
  name: string;
  role: TokenRole;
  token_hash: Buffer;
  last_used_at: Date | null;
}

/** API tokens: `plb_…`, kept as SHA-256 only, shown once. */
export class ApiTokens {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly ids: Ids,
  ) {}

  /** @returns who the token belongs to; `null` for an unknown or revoked one */
  async verify(token: string): Promise<Caller | null> {
    const hash = hashOf(token);
    const row = (await this.database.query<TokenRow>(FIND, [hash])).rows[0];
    // The index compares hashes, not tokens, so its timing tells nothing of the token; the last word is constant-time.
    if (!row || !timingSafeEqual(row.token_hash, hash)) return null;
    const nowMs = this.clock.nowMs();
    if (row.last_used_at === null || nowMs - row.last_used_at.getTime() > USED_EVERY_MS) {
      await this.database.query(TOUCH, [row.id, new Date(nowMs)]);
    }
    return { tokenId: row.id, name: row.name, role: row.role };
  }

  /** @returns the token itself too: the only time it can be read */
  create(name: string, role: TokenRole, actor: string): Promise<{ token: string; view: TokenView }> {
    const token = PREFIX + this.ids.token(TOKEN_BYTES);
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<TokenView & Record<string, unknown>>(INSERT, [
        name,
        role,
        hashOf(token),
        this.clock.now(),
      ]);
      await recordAudit(client, this.clock, { actor, action: 'token.create', subject: name, detail: { role } });
      return { token, view: rows[0] as TokenView };
    });
  }

  async list(): Promise<TokenView[]> {
    return this.database.rows<TokenView & Record<string, unknown>>(LIST);
  }

  /** @returns `null` when there is no such token */
  revoke(id: string, actor: string): Promise<TokenView | null> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<TokenView & Record<string, unknown>>(REVOKE, [id, this.clock.now()]);
      const view = rows[0];
      if (!view) return null;
      await recordAudit(client, this.clock, { actor, action: 'token.revoke', subject: view.name, detail: { id } });
      return view;
    });
  }

  /**
   * Makes sure there is a way in: the token of PLUMBLINE_ADMIN_TOKEN, or the one in the data directory, generated
   * (mode 0600) when there is none. A first token that was revoked stays revoked.
   *
   * @returns the path of the file that holds it, `null` when it comes from the environment
   */
  async ensureFirst(configured: string | null, dataDir: string): Promise<string | null> {
    const path = join(dataDir, TOKEN_FILE);
    const token = configured ?? (await this.readOrGenerate(path));
    await this.database.transaction(async (client) => {
      const nowAt = this.clock.now();
      // A generated token belongs to its data directory; another process's stays as good as this one.
      if (configured !== null) await client.query(REVOKE_EARLIER_FIRST, [FIRST, hashOf(token), nowAt]);
      await client.query(INSERT_FIRST, [FIRST, hashOf(token), nowAt]);
    });
    return configured === null ? path : null;
  }

  private async readOrGenerate(path: string): Promise<string> {
    try {
      // `wx`: of two processes that start at once, one writes and the other reads what it wrote.
      await writeFile(path, `${PREFIX}${this.ids.token(TOKEN_BYTES)}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new PlumblineError('DATA_DIRECTORY_UNUSABLE', `${path} cannot be written: ${messageOf(error)}`, {
          cause: error,
        });
      }
      await chmod(path, 0o600);
    }
    const token = (await readFile(path, 'utf8')).trim();
    if (token.length < 16) {
      throw new PlumblineError('DATA_DIRECTORY_UNUSABLE', `${path} holds no token; remove it and start again`);
    }
    return token;
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
