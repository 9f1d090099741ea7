import { textOfHtml } from './html-text.js';
import { valuesOf, type Mail } from './mail.js';

/** What the words of a mail say. `unknown`: about webhooks, in words that nobody has taught us. */
export type Wording = 'removed' | 'failing' | 'other' | 'unknown';

/** One thing that a mail says. */
export interface Reading {
  wording: Wording;
  /** `orders/create`; `null` = not said. */
  topic: string | null;
  /** The address that Shopify called; `null` = not said. */
  url: string | null;
  removedAt: Date | null;
  attempts: number | null;
  /** Where in `Words.text` it is said. */
  at: number;
}

export interface Words {
  /** Subject aside: what is written, in one line, in the order text, HTML. */
  text: string;
  /** At least one. */
  readings: readonly Reading[];
}

// A mail of Shopify's says one thing; past this somebody plays with us, and a person may look at it.
const READINGS_MAX = 200;
const URL_MAX = 2_048;

// Source: docs/notices.md, "The words". Both sentences are kept to their invariable words: a product name or a word in
// between must not turn a removal into something else.
const WEBHOOK = String.raw`(?:your )?webhook for (\S{1,100}) at (\S{1,2048})(?: [<(]\S{1,2048}[>)])?`;
const INSTANT = String.raw`(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}) UTC`;
const REMOVED = new RegExp(String.raw`${WEBHOOK} has been removed(?: on ${INSTANT})?`, 'gi');
const FAILING = new RegExp(String.raw`${WEBHOOK} is failing to return a successful response`, 'gi');
// The same with a topic or an address of more than one word, which a person may have put in.
const REMOVED_LOOSELY = new RegExp(
  String.raw`\bwebhook\b.{0,600}? has been removed on ${INSTANT}|\byour webhook for .{1,600}? has been removed on\b`,
  'i',
);
const FAILING_LOOSELY = /\bis failing to return a successful response/i;
const ATTEMPTS = /has been attempted (\d{1,9}) times?\b/i;
const LOOSE_TEXT_MAX = 200_000; // bounds the time of the loose search; nothing of Shopify's is as long

const ABOUT_WEBHOOKS = /webhook/i;
/** The path under which every shop's webhooks come in, whatever stands before it. */
const OUR_PATH = '/webhooks/shopify';

/** Says what a mail says. Pure, never throws, and takes time in proportion to the mail's length. */
export function readWords(mail: Pick<Mail, 'subject' | 'text' | 'html' | 'headers'>): Words {
  const parts = [mail.text, mail.html === null ? null : textOfHtml(mail.html)];
  const text = parts.flatMap((part) => (part === null ? [] : [inOneLine(part)])).join(' ');
  const said = distinct([...findAll(text, REMOVED, 'removed'), ...findAll(text, FAILING, 'failing')]);
  if (said.length > READINGS_MAX) {
    const beyond: Reading = { ...NOTHING, wording: 'unknown' };
    return { text, readings: [...said.slice(0, READINGS_MAX), beyond] };
  }
  if (said.length > 0) return { text, readings: said };
  return { text, readings: [loosely(text) ?? withoutSentence(mail, text)] };
}

const NOTHING: Reading = { wording: 'other', topic: null, url: null, removedAt: null, attempts: null, at: 0 };

function findAll(text: string, sentence: RegExp, wording: 'removed' | 'failing'): Reading[] {
  const found: Reading[] = [];
  for (const match of text.matchAll(sentence)) {
    const [whole, topic = '', url = '', instant] = match;
    // The count stands in the sentence that follows; the next mail's, quoted below, has its own.
    const after = text.slice(match.index + whole.length, match.index + whole.length + 200);
    found.push({
      wording,
      topic: topicIn(topic),
      url: urlIn(url),
      removedAt: instantIn(instant),
      attempts: wording === 'failing' ? attemptsIn(after) : null,
      at: match.index,
    });
    if (found.length > READINGS_MAX) break;
  }
  return found;
}

function loosely(text: string): Reading | null {
  const start = text.slice(0, LOOSE_TEXT_MAX);
  const removed = REMOVED_LOOSELY.exec(start);
  const url = ourAddress(text);
  if (removed) return { ...NOTHING, wording: 'removed', removedAt: instantIn(removed[1]), url, at: removed.index };
  const failing = FAILING_LOOSELY.exec(text);
  if (!failing) return null;
  return { ...NOTHING, wording: 'failing', attempts: attemptsIn(text), url, at: failing.index };
}

function withoutSentence(mail: Pick<Mail, 'subject' | 'headers'>, text: string): Reading {
  // RFC 3834: an answer that no person wrote. It repeats a subject and tells nothing.
  const isAutoReply = valuesOf(mail.headers, 'auto-submitted').some((value) => /^\s*auto-replied\b/i.test(value));
  if (isAutoReply) return NOTHING;
  const url = ourAddress(text) ?? ourAddress(mail.subject);
  const isAbout = url !== null || ABOUT_WEBHOOKS.test(mail.subject) || ABOUT_WEBHOOKS.test(text);
  return isAbout ? { ...NOTHING, wording: 'unknown', url } : NOTHING;
}

/** Text and HTML say the same twice; so does what is quoted below. */
function distinct(readings: readonly Reading[]): Reading[] {
  const byFact = new Map<string, Reading>();
  for (const reading of readings) {
    const fact = [reading.wording, reading.topic, reading.url, reading.removedAt?.getTime()].join(' ');
    if (!byFact.has(fact)) byFact.set(fact, reading);
  }
  return [...byFact.values()];
}

/** One blank between words, no quoting marks, no characters that only lay text out, straight quotes. */
function inOneLine(text: string): string {
  return text
    .replace(/^[ \t]*(?:>[ \t]?)+/gm, '')
    .replace(/[\u00ad\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replace(/\s+/g, ' ')
    .trim();
}

function topicIn(word: string): string | null {
  const topic = bare(word).toLowerCase();
  return /^[a-z_]+(\/[a-z_]+)+$/.test(topic) ? topic : null;
}

function urlIn(word: string): string | null {
  const url = bare(word);
  return /^https?:\/\/[^\s/]/i.test(url) && url.length <= URL_MAX && URL.canParse(url) ? url : null;
}

/** The first address of ours that is named anywhere. */
function ourAddress(text: string): string | null {
  if (!text.includes(OUR_PATH)) return null;
  for (const [word] of text.matchAll(/[^\s"'<>()[\]]+/g)) {
    const url = word.includes(OUR_PATH) ? urlIn(word) : null;
    if (url !== null && /\/webhooks\/shopify(?:\/|$)/.test(url)) return url;
  }
  return null;
}

/** Without the marks that stand around a word. */
function bare(word: string): string {
  let [start, end] = [0, word.length];
  while (start < end && `"'\`*<([`.includes(word.charAt(start))) start += 1;
  while (end > start && `"'\`*>)],.;:!?`.includes(word.charAt(end - 1))) end -= 1;
  return word.slice(start, end);
}

function instantIn(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const at = new Date(`${text.replace(' ', 'T')}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}

function attemptsIn(text: string): number | null {
  const [, digits] = ATTEMPTS.exec(text) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** @returns the opaque key of a shop's address; `null` = the address has none */
export function shopKeyIn(url: string): string | null {
  return /\/webhooks\/shopify\/([\w-]{1,128})\/?(?:[?#].*)?$/.exec(url)?.[1] ?? null;
}
