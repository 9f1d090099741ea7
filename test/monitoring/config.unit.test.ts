import { expect, it } from 'vitest';
import { z } from 'zod';
import { MONITORING_SECTIONS, type NoticeSettings } from '../../src/monitoring/config.js';

const schema = z.strictObject(MONITORING_SECTIONS.shape);
const SECRET = 'a-secret-path';

function read(notices: unknown): NoticeSettings | undefined {
  return schema.parse({ notices }).notices;
}

function faultsOf(notices: unknown): string[] {
  const raw = { notices };
  const parsed = schema.safeParse(raw);
  return [
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
    ...(MONITORING_SECTIONS.check?.(raw) ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  ];
}

it('needs no notices, and has a default for everything but the address', () => {
  expect(schema.parse({})).toEqual({});
  expect(read({ secretPath: SECRET })).toEqual({
    secretPath: SECRET,
    shopifySenders: ['shopify.com'],
    snsTopicArns: [],
  });
  expect(faultsOf({ secretPath: SECRET })).toEqual([]);
});

it('takes the secret with slashes around it, senders in any letters, and a port from the environment', () => {
  expect(read({ secretPath: `/${SECRET}/`, shopifySenders: ['Shopify.COM'], smtp: { port: '2525' } })).toMatchObject({
    secretPath: SECRET,
    shopifySenders: ['shopify.com'],
    smtp: { port: 2525, host: '127.0.0.1' },
  });
});

it.each<[string, unknown, string]>([
  ['a secret that could be guessed', { secretPath: 'short' }, 'notices.secretPath: expected 8 to 100 letters'],
  ['a secret of several segments', { secretPath: 'a-secret/path-of-two' }, 'notices.secretPath: expected 8 to 100'],
  ['an address for a domain', { secretPath: SECRET, shopifySenders: ['x@shopify.com'] }, 'expected a domain like'],
  ['no sender', { secretPath: SECRET, shopifySenders: [] }, 'name at least one domain'],
  ['a topic that is none', { secretPath: SECRET, snsTopicArns: ['inbound'] }, 'expected an ARN like'],
  ['a port that is none', { smtp: { port: 70_000 } }, 'notices.smtp.port: expected a port, 1 to 65535'],
  ['a slip', { secretPth: SECRET }, 'notices: Unrecognized key'],
  ['no way in', { shopifySenders: ['shopify.com'] }, 'is missing: without it or smtp no mail can arrive'],
  ['a key without an address', { mailgunSigningKey: 'k' }, 'is missing: mailgunSigningKey is of no use without it'],
])('refuses %s', (_, notices, fault) => {
  expect(faultsOf(notices).join('\n')).toContain(fault);
});

it('bears any value in its check: what is broken has been reported already', () => {
  for (const notices of [null, 7, 'text', [], undefined]) expect(MONITORING_SECTIONS.check?.({ notices })).toEqual([]);
});
