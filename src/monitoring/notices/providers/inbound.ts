import type { Clock } from '../../../kernel/clock.js';
import type { Mail } from '../mail.js';
import type { Verdict } from '../trust.js';

/** What a provider posted. */
export interface InboundRequest {
  contentType: string;
  body: Buffer;
}

/** What a provider's request comes to. */
export type Handed =
  | {
      outcome: 'mail';
      mail: Mail;
      /** The provider's name for this mail, the same when it comes again; `null` = it has none beside Message-ID. */
      receipt: string | null;
      /** What the provider found; `null` = it does not say, or not so that nobody else could have said it. */
      verdict: Verdict | null;
      /** The mail as it was sent, so that we can check it ourselves. */
      raw: Buffer | null;
      /** May be used once. */
      nonce?: string;
    }
  /** Understood, and there is nothing to keep. */
  | { outcome: 'done'; detail: string }
  | { outcome: 'refused'; status: 400 | 401 | 403; detail: string }
  | { outcome: 'later'; detail: string };

export type Provider = (request: InboundRequest) => Promise<Handed>;

/** What providers need of the world. */
export interface ProviderDeps {
  clock: Clock;
  /** GET over https; the body of a 200, or why there is none. */
  get: (url: string) => Promise<{ ok: true; body: string } | { ok: false; detail: string }>;
}

export function refused(status: 400 | 401 | 403, detail: string): Handed {
  return { outcome: 'refused', status, detail };
}

/** @returns what the JSON says; `undefined` = it is none */
export function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The text fields of a form, multipart or URL-encoded; files are left out. `null` = it is no form. */
export async function readForm({ contentType, body }: InboundRequest): Promise<ReadonlyMap<string, string> | null> {
  try {
    const form = await new Response(body, { headers: { 'content-type': contentType } }).formData();
    const fields = new Map<string, string>();
    // The first of a name counts: what comes later is not what the provider wrote first.
    for (const [name, value] of form) if (typeof value === 'string' && !fields.has(name)) fields.set(name, value);
    return fields;
  } catch {
    return null;
  }
}
