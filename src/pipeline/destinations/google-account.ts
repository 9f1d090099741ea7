import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../kernel/clock.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { ReadBackLater } from '../contract.js';
import { unreadable } from './read-back-answer.js';

const TOKEN_URI = 'https://oauth2.googleapis.com/token';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ASSERTION_SECONDS = 3_600; // the longest Google allows
const RENEW_BEFORE_MS = 120_000; // a token must outlive the request that carries it
const DEADLINE_MS = 10_000;

/** What is needed of the JSON file that Google makes for a service account. */
export interface ServiceAccount {
  clientEmail: string;
  keyId: string | null;
  privateKey: KeyObject;
  tokenUri: string;
}

const FILE = z.object({
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: z.url({ protocol: /^https?$/ }).default(TOKEN_URI),
});

/** @throws Error that says what is wrong and holds nothing of the text */
export function readServiceAccount(text: string): ServiceAccount {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('must be the JSON of a Google service account key');
  }
  const file = FILE.safeParse(json);
  if (!file.success) {
    const keys = [...new Set(file.error.issues.map(({ path }) => path.join('.')))].filter((key) => key !== '');
    throw new Error(
      `must be the JSON of a Google service account key, with a right ${keys.join(' and ') || 'content'}`,
    );
  }
  const { client_email, private_key, private_key_id, token_uri } = file.data;
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(private_key);
  } catch {
    throw new Error('has a private_key that is no PEM key');
  }
  if (privateKey.asymmetricKeyType !== 'rsa') throw new Error('has a private_key that is no RSA key');
  return { clientEmail: client_email, keyId: private_key_id ?? null, privateKey, tokenUri: token_uri };
}

export function serviceAccountFault(text: string): string | null {
  try {
    readServiceAccount(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * A signed statement that asks for an access token.
 *
 * Source: developers.google.com/identity/protocols/oauth2/service-account#httprest; RFC 7523
 */
export function assertionOf(account: ServiceAccount, scope: string, nowMs: number): string {
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  const issuedAt = Math.floor(nowMs / 1000);
  const header = { alg: 'RS256', typ: 'JWT', ...(account.keyId === null ? {} : { kid: account.keyId }) };
  const claims = {
    iss: account.clientEmail,
    scope,
    aud: account.tokenUri,
    iat: issuedAt,
    exp: issuedAt + ASSERTION_SECONDS,
  };
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), account.privateKey).toString('base64url')}`;
}

const ANSWER = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });

export type TokenResult = { outcome: 'token'; token: string } | ReadBackLater;

/** Access tokens of service accounts for one scope, each fetched once and kept until shortly before it expires. */
export class GoogleTokens {
  private readonly kept = new Map<string, { token: string; untilMs: number }>();
  private readonly accounts = new Map<string, ServiceAccount>();

  constructor(
    private readonly http: Pick<HttpOut, 'request'>,
    private readonly clock: Clock,
    private readonly scope: string,
  ) {}

  /** @param text the service account's JSON, already found without fault */
  async token(text: string, signal?: AbortSignal): Promise<TokenResult> {
    const kept = this.kept.get(text);
    if (kept !== undefined && kept.untilMs > this.clock.nowMs()) return { outcome: 'token', token: kept.token };
    const account = this.accountOf(text);
    const assertion = assertionOf(account, this.scope, this.clock.nowMs());
    const result = await this.http.request({
      method: 'POST',
      url: account.tokenUri,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: GRANT, assertion }).toString(),
      deadlineMs: DEADLINE_MS,
      ...(signal ? { signal } : {}),
    });
    const answer = result.kind === 'answer' && result.status === 200 ? readAnswer(result.body) : null;
    if (answer === null) {
      const refusal = unreadable(result, { nowMs: this.clock.nowMs(), secrets: [assertion] });
      return { ...refusal, detail: `no access token: ${refusal.detail}` };
    }
    const untilMs = this.clock.nowMs() + answer.expires_in * 1000 - RENEW_BEFORE_MS;
    this.kept.set(text, { token: answer.access_token, untilMs });
    return { outcome: 'token', token: answer.access_token };
  }

  /** For a token that was refused before its time. */
  forget(text: string): void {
    this.kept.delete(text);
  }

  private accountOf(text: string): ServiceAccount {
    let account = this.accounts.get(text);
    if (account === undefined) this.accounts.set(text, (account = readServiceAccount(text)));
    return account;
  }
}

function readAnswer(body: string): z.infer<typeof ANSWER> | null {
  try {
    return ANSWER.parse(JSON.parse(body));
  } catch {
    return null;
  }
}
