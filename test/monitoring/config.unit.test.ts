import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEFAULT_SLOS, DEFAULT_WINDOWS } from '../../src/monitoring/slo/objective.js';
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
  expect(schema.parse({})).toEqual({ slos: DEFAULT_SLOS });
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

describe('objectives', () => {
  const pace = { longMinutes: 60, shortMinutes: 5, budgetShare: 0.02, class: 'page', severity: 1 };
  const objective = { name: 'fast', objective: 0.99, arrivedWithinMinutes: 5 };
  const faults = (...slos: unknown[]): string[] => {
    const parsed = schema.safeParse({ slos });
    return [
      ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
      ...(MONITORING_SECTIONS.check?.({ slos }) ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
    ];
  };

  it('that are declared take the place of the usual ones, with the usual windows and numbers from the environment', () => {
    expect(schema.parse({ slos: [{ ...objective, objective: '0.99', windowDays: '7' }] }).slos).toEqual([
      { ...objective, windowDays: 7, windows: DEFAULT_WINDOWS },
    ]);
    expect(faults({ ...objective, windows: [pace] })).toEqual([]);
  });

  it.each<[string, unknown[], string]>([
    ['a promise of everything', [{ ...objective, objective: 1 }], 'slos.0.objective: expected a share below 1'],
    ['two of one name', [objective, objective], 'slos.1.name: there is one of this name already'],
    ['no objective at all', [], 'slos: name at least one objective'],
    [
      'a short window that is longer',
      [{ ...objective, windows: [{ ...pace, shortMinutes: 60 }] }],
      'slos.0.windows.0.shortMinutes: must be below longMinutes',
    ],
    [
      'a window beyond the time that is promised',
      [{ ...objective, windowDays: 1, windows: [{ ...pace, longMinutes: 1441 }] }],
      'slos.0.windows: no window may be longer than windowDays',
    ],
    ['a name that no subject could hold', [{ ...objective, name: 'A/B' }], 'slos.0.name: expected lower-case'],
    ['a limit of nothing', [{ ...objective, arrivedWithinMinutes: 0 }], 'slos.0.arrivedWithinMinutes: expected whole'],
  ])('refuses %s', (_, slos, fault) => {
    expect(faults(...slos)).toEqual([expect.stringContaining(fault)]);
  });
});
