import { createHmac } from 'node:crypto';
import type { Clock } from '../../kernel/clock.js';
import type { HttpOut } from '../../kernel/http-out.js';
import { retryAfterMs } from '../../kernel/retry-after.js';
import type { Sent } from './notification.js';
import type { Message, SecondChannel } from './second-channel.js';
import { cut } from './words.js';

// Source: Slack, "Reference: blocks": a header's text 150, a section's text 3,000 characters.
const HEADER_CHARS_MAX = 150;
const SECTION_CHARS_MAX = 3_000;
// A message takes 50 blocks, and is cut after 40,000 characters: these many sections are within both.
const SECTIONS_MAX = 12;
/**
 * A webhook in the shape of Slack's incoming webhooks, `{text, blocks}`, which Mattermost and others read as well.
 *
 * With a secret, `X-Plumbline-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`.
 */
export class SlackWebhook implements SecondChannel {
  readonly recipient: string;

  constructor(
    private readonly options: {
      settings: { url: string; secret?: string | undefined };
      http: Pick<HttpOut, 'request'>;
      clock: Clock;
    },
  ) {
    this.recipient = new URL(options.settings.url).host;
  }

  fits({ lines }: Message): boolean {
    return sectionsOf(lines).length <= SECTIONS_MAX;
  }

  async tell(message: Message, signal: AbortSignal): Promise<Sent> {
    const { settings, http, clock } = this.options;
    const body = JSON.stringify(slackMessage(message));
    const seconds = Math.floor(clock.nowMs() / 1_000);
    const result = await http.request({
      method: 'POST',
      url: settings.url,
      headers: {
        'content-type': 'application/json',
        'x-plumbline-id': message.id,
        ...(settings.secret === undefined
          ? {}
          : { 'x-plumbline-signature': signature(settings.secret, seconds, body) }),
      },
      body,
      signal,
    });
    if (result.kind !== 'answer') {
      // What it is posted to may be a secret as a whole, so nothing of the address is said.
      return { outcome: 'failed', answered: false, detail: result.kind === 'ambiguous' ? result.detail : result.code };
    }
    const { status, headers } = result;
    const detail = `the webhook answered ${status}`;
    if (status >= 200 && status < 300) return { outcome: 'taken' };
    const waitMs = retryAfterMs(headers, clock.nowMs());
    if (status === 429) return { outcome: 'throttled', retryAfterMs: waitMs, detail };
    // The last way there is: nothing is refused for good, whatever it answers.
    return { outcome: 'failed', answered: true, retryAfterMs: waitMs, detail };
  }

  close(): void {
    // Its connections are the owner's.
  }
}

export function signature(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** Source: Slack, "Sending messages using incoming webhooks": `text` is what notifications show; blocks are the message. */
function slackMessage({ title, lines, links }: Message): object {
  const sections = sectionsOf(lines).slice(0, SECTIONS_MAX);
  const buttons = links.map(({ href, text: label }) => `<${href}|${escape(label)}>`).join(' · ');
  return {
    text: escape(title),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: cut(title, HEADER_CHARS_MAX) } },
      ...sections.map((text) => ({ type: 'section', text: { type: 'mrkdwn', text } })),
      ...(buttons === '' ? [] : [{ type: 'context', elements: [{ type: 'mrkdwn', text: buttons }] }]),
    ],
  };
}

/** Lines together, as many as a section holds; no line is in two. */
function sectionsOf(lines: readonly string[]): string[] {
  const sections: string[] = [];
  for (const line of lines) {
    // Cut before it is escaped, or it could end within an entity; one character may become five.
    const whole = escape(line);
    const text = whole.length <= SECTION_CHARS_MAX ? whole : escape(cut(line, SECTION_CHARS_MAX / 5));
    const last = sections.at(-1);
    if (last === undefined || last.length + 1 + text.length > SECTION_CHARS_MAX) sections.push(text);
    else sections[sections.length - 1] = `${last}\n${text}`;
  }
  return sections.filter((text) => text !== '');
}

/** Slack's three control characters. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
