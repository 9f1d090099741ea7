import { createHash } from 'node:crypto';
import { storableText } from '../../kernel/database.js';
import type { NoticeClass } from '../contract.js';
import type { Mail } from './mail.js';
import type { Trust } from './trust.js';
import { shopKeyIn, type Reading, type Wording, type Words } from './wording.js';

/** A thing said in a mail, as it is stored. */
export interface NoticeDraft {
  class: NoticeClass;
  wording: Wording;
  trust: string;
  senderDomain: string | null;
  shopId: string | null;
  topic: string | null;
  url: string | null;
  removedAt: Date | null;
  attempts: number | null;
  subject: string;
  excerpt: string | null;
  /** Equal for what says the same. */
  factKey: Buffer;
  isHint: boolean;
  needsAttention: boolean;
}

export const EXCERPT_MAX = 500;
const SUBJECT_MAX = 200;
const NAME_MAX = 253;

/**
 * What is stored of a mail: as little as a person needs to act. Pure.
 *
 * @param shopIdOf the shop of an opaque key, in the world that the mail came from
 */
export function draftsOf(
  mail: Pick<Mail, 'subject'>,
  words: Words,
  trust: Trust,
  shopIdOf: (key: string) => string | null,
): NoticeDraft[] {
  // What nobody believes is listed, not taken apart.
  const readings = trust.isTrusted ? words.readings : words.readings.slice(0, 1);
  return readings.map((reading) => {
    const { wording, topic, removedAt, attempts } = reading;
    const kind = trust.isTrusted ? wording : 'untrusted';
    const url = reading.url === null ? null : withoutQuery(reading.url);
    const key = url === null ? null : shopKeyIn(url);
    const shopId = key === null ? null : shopIdOf(key);
    const senderDomain = trust.senderDomain?.slice(0, NAME_MAX) ?? null;
    const isHint = kind === 'removed' || kind === 'failing';
    return {
      class: kind,
      wording,
      trust: shown(trust.why, SUBJECT_MAX),
      senderDomain: senderDomain === null ? null : storable(senderDomain),
      shopId,
      topic,
      url,
      removedAt,
      attempts: attempts === null ? null : Math.min(attempts, 2_147_483_647),
      subject: shown(mail.subject, SUBJECT_MAX),
      excerpt: excerptOf(words.text, reading),
      factKey: factKeyOf(kind, senderDomain, shopId, { ...reading, url }, mail.subject, words.text),
      isHint,
      // A removal that we cannot look into ourselves is for a person: it is never only filed.
      needsAttention: kind === 'unknown' || (kind === 'removed' && shopId === null),
    };
  });
}

/** Mails about something else tell us nothing: nothing of them is kept. */
function excerptOf(text: string, { wording, at }: Reading): string | null {
  if (wording === 'other' || text === '') return null;
  return shown(text.slice(at), EXCERPT_MAX);
}

/** Without addresses of people, and no longer than that. */
function shown(text: string, max: number): string {
  const start = text.slice(0, 4 * max).replace(/[^\s@<>()"',;:]{1,64}@[^\s@<>()"',;:]{1,253}/g, '[address]');
  return storable(start.replace(/\s+/g, ' ').trim().slice(0, max));
}

function storable(text: string): string {
  return storableText(text.toWellFormed()) ?? '';
}

function withoutQuery(url: string): string {
  return storable(url.split(/[?#]/, 1)[0] ?? '');
}

/**
 * Equal for what says the same. A removal is named by its instant, so that two of them are two; how often a webhook has
 * been tried changes from mail to mail and is left out. What is not Shopify's, or not about webhooks, is told apart by
 * its sender only: whoever sends a thousand mails fills one row.
 */
function factKeyOf(
  kind: NoticeClass,
  senderDomain: string | null,
  shopId: string | null,
  { wording, topic, url, removedAt }: Reading,
  subject: string,
  text: string,
): Buffer {
  const unread = kind === 'unknown' ? `${subject} ${text}`.replace(/\d+/g, '0') : '';
  const author = kind === 'untrusted' || kind === 'other' ? senderDomain : null;
  const parts = [kind, wording, author, shopId, topic, url, removedAt?.getTime() ?? null, unread];
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}
