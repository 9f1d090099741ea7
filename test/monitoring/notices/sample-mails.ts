import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Wording } from '../../../src/monitoring/notices/wording.js';

/** A mail, as it would lie on disk. */
export interface SampleMail {
  name: string;
  raw: Buffer;
}

// Samples that may lie beside the project; read in place, never copied.
const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../../shared/data/shopify/emails');

/** Every sample beside the project; none where there are none. */
export function samplesBeside(kind: 'eml' | 'txt'): SampleMail[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(`.${kind}`))
    .sort()
    .map((name) => ({ name, raw: readFileSync(join(folder, name)) }));
}

/** What a sample says, by its name. */
export function wordingOf(name: string): Wording {
  if (name.includes('removed')) return 'removed';
  if (name.includes('failing') && !name.startsWith('negative')) return 'failing';
  return name.includes('changelog') || name.includes('other_vendor') ? 'unknown' : 'other';
}

export const ADDRESS = 'https://hooks.example.com/webhooks/shopify';

export function removedText(topic = 'orders/create', url = ADDRESS, at = '2026-11-23 11:58:41'): string {
  return (
    `Your webhook for ${topic} at ${url} has been removed on ${at} UTC because it's failing to return a successful ` +
    "response.\n\nWhen the issue is fixed, you'll need to re-create your webhook.\n"
  );
}

export function failingText(topic = 'orders/create', url = ADDRESS, attempts = 2): string {
  return (
    `Your webhook for ${topic} at ${url} is failing to return a successful response.\n\nThis webhook has been attempted ` +
    `${attempts} times. If your webhook continues to fail, it will be removed and your application will not receive any ` +
    'more notifications.\n'
  );
}

/** A mail with the headers of one of Shopify's. */
export function mailOf(
  parts: { from?: string; subject?: string; text?: string; html?: string; headers?: string[]; messageId?: string } = {},
): Buffer {
  const { from = 'Shopify <mailer@shopify.com>', subject = 'Your webhook is failing', text, html } = parts;
  const head = [
    `From: ${from}`,
    'To: dev@example.com',
    `Subject: ${subject}`,
    'Date: Mon, 23 Nov 2026 11:59:00 +0000',
    `Message-ID: ${parts.messageId ?? '<1@mail.example>'}`,
    'MIME-Version: 1.0',
    ...(parts.headers ?? []),
  ];
  const part = (type: string, content: string): string[] => [
    `Content-Type: ${type}; charset=utf-8`,
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(content).toString('base64'),
  ];
  const body =
    html === undefined
      ? part('text/plain', text ?? failingText())
      : [
          'Content-Type: multipart/alternative; boundary=b',
          '',
          ...(text === undefined ? [] : ['--b', ...part('text/plain', text)]),
          '--b',
          ...part('text/html', html),
          '--b--',
        ];
  return Buffer.from([...head, ...body, ''].join('\r\n'));
}
