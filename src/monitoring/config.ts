import { z } from 'zod';
import { member, type KeyPath } from '../kernel/config-faults.js';
import type { Sections } from '../kernel/config.js';
import { DEFAULT_SLOS, DEFAULT_WINDOWS } from './slo/objective.js';

const MINUTES_MAX = 90 * 1440;

/** Facts about a key that the generated document shows. */
const about = (description: string, more: { secret?: boolean } = {}): { description: string; secret?: boolean } => ({
  description,
  ...more,
});

/** The router takes path segments of at most 100 characters; below 8, somebody would guess it. */
const secretPath = z
  .string('expected text')
  .regex(/^\/?[A-Za-z0-9._~-]{8,100}\/?$/, 'expected 8 to 100 letters, digits, dots, hyphens, underscores or tildes')
  .transform((path) => path.replaceAll('/', ''))
  .meta(
    about('Last segment of the address that mail providers call: `/inbound/email/<provider>/<secretPath>`.', {
      secret: true,
    }),
  );

const domain = z
  .string('expected text')
  .toLowerCase()
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, 'expected a domain like shopify.com');

/** Source: AWS, "Amazon Resource Names"; names of SNS topics are letters, digits, hyphens and underscores. */
const topicArn = z
  .string('expected text')
  .regex(
    /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
    'expected an ARN like arn:aws:sns:eu-west-1:123456789012:inbound',
  );

const smtp = z.strictObject({
  // Whatever stands in ${…} arrives as text.
  port: z.coerce
    .number('expected a port, 1 to 65535')
    .int('expected a port, 1 to 65535')
    .min(1, 'expected a port, 1 to 65535')
    .max(65_535, 'expected a port, 1 to 65535')
    .meta({ ...about('The port to listen on.'), type: 'integer' }),
  host: z
    .string('expected text')
    .min(1, 'must not be empty')
    .default('127.0.0.1')
    .meta(about('The address to listen on. Anybody who reaches it can hand mails in.')),
});

const notices = z
  .strictObject({
    secretPath: secretPath.optional(),
    shopifySenders: z
      .array(domain, 'expected a list')
      .min(1, 'name at least one domain')
      .default(['shopify.com'])
      .meta(about('Domains, with their subdomains, whose signed mails are taken for mails of Shopify.')),
    mailgunSigningKey: z
      .string('expected text')
      .min(1, 'must not be empty')
      .optional()
      .meta(
        about('HTTP webhook signing key of the Mailgun account; without it nothing of Mailgun is taken.', {
          secret: true,
        }),
      ),
    snsTopicArns: z
      .array(topicArn, 'expected a list')
      .default([])
      .meta(about('SNS topics that SES publishes received mails to; no other is confirmed or taken.')),
    smtp: smtp.optional().meta(about('A local SMTP listener, for a mail server that hands mails on. Default: none.')),
  })
  .optional()
  .meta(about('The mails in which Shopify says that a webhook fails or was removed.'));

const wholeMinutes = (description: string) =>
  // Whatever stands in ${…} arrives as text; here and below.
  z.coerce
    .number('expected whole minutes')
    .int('expected whole minutes')
    .min(1, 'expected whole minutes, at least 1')
    .max(MINUTES_MAX, 'expected at most 90 days of minutes')
    .meta({ ...about(description), type: 'integer' });

const burnWindow = z
  .strictObject({
    longMinutes: wholeMinutes('The longer of the two times that are looked at; both must burn.'),
    shortMinutes: wholeMinutes('The shorter one, by which it ends soon after the trouble does; usually a twelfth.'),
    budgetShare: z.coerce
      .number('expected a share of the budget')
      .gt(0, 'expected a share above 0')
      .max(1, 'expected a share up to 1')
      .meta({
        ...about('Share of the whole budget that is gone after the longer time at this pace.'),
        type: 'number',
      }),
    class: z.enum(['page', 'ticket'], 'expected page or ticket').meta(about('Whether it wakes somebody.')),
    severity: z
      .union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)], 'expected 1, 2, 3 or 4')
      .meta(about('1 is the worst.')),
  })
  .refine(({ longMinutes, shortMinutes }) => shortMinutes < longMinutes, {
    message: 'must be below longMinutes',
    path: ['shortMinutes'],
  });

const objective = z
  .strictObject({
    name: z
      .string('expected text')
      .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'expected lower-case letters, digits and hyphens, at most 40')
      .meta(about('How signals, pages and the API name it.')),
    objective: z.coerce
      .number('expected a share')
      .gt(0, 'expected a share above 0')
      .lt(1, 'expected a share below 1: nothing can promise all')
      .meta({ ...about('The share of orders that is promised, e.g. 0.9999.'), type: 'number' }),
    windowDays: z.coerce
      .number('expected whole days')
      .int('expected whole days')
      .min(1, 'expected 1 to 28 days')
      .max(28, 'expected 1 to 28 days')
      .default(28)
      .meta({ ...about('The promise is about the last so many days.'), type: 'integer' }),
    arrivedWithinMinutes: wholeMinutes('An order is in time when its destination took it so soon after it was due.'),
    windows: z
      .array(burnWindow, 'expected a list')
      .min(1, 'name at least one pair of windows')
      .default(DEFAULT_WINDOWS.map((window) => ({ ...window })))
      .meta(about('When burning budget is told. Default: the four pairs of docs/slos.md.')),
  })
  .refine(({ windowDays, windows }) => windows.every(({ longMinutes }) => longMinutes <= windowDays * 1440), {
    message: 'no window may be longer than windowDays',
    path: ['windows'],
  });

const slos = z
  .array(objective, 'expected a list')
  .min(1, 'name at least one objective, or leave the section out')
  .default(DEFAULT_SLOS.map((slo) => ({ ...slo, windows: slo.windows.map((window) => ({ ...window })) })))
  .meta(about('What is promised of orders. Default: `order-throughput` and `orders-on-time`, see docs/slos.md.'));

const shape = { notices, slos };

export type MonitoringFile = z.output<z.ZodObject<typeof shape>>;
export type NoticeSettings = NonNullable<MonitoringFile['notices']>;

/** Monitoring's part of the file. */
export const MONITORING_SECTIONS: Sections<typeof shape> = {
  shape,
  check: (raw) => [...unreachable(raw), ...sameName(raw)],
};

/** A section by which no mail can arrive is a slip, not a wish. */
function unreachable(raw: Readonly<Record<string, unknown>>): { path: KeyPath; message: string }[] {
  const given = raw['notices'];
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return [];
  if (member(given, 'secretPath') !== undefined) return [];
  const needing = ['mailgunSigningKey', 'snsTopicArns'].find((key) => member(given, key) !== undefined);
  if (needing === undefined && member(given, 'smtp') !== undefined) return [];
  const why = needing === undefined ? 'without it or smtp no mail can arrive' : `${needing} is of no use without it`;
  return [{ path: ['notices', 'secretPath'], message: `is missing: ${why}` }];
}

/** Signals and pages tell objectives apart by name alone. */
function sameName(raw: Readonly<Record<string, unknown>>): { path: KeyPath; message: string }[] {
  const given = raw['slos'];
  if (!Array.isArray(given)) return [];
  const names = given.map((each: unknown) => member(each, 'name'));
  return names.flatMap((name, index) =>
    typeof name === 'string' && names.indexOf(name) < index
      ? [{ path: ['slos', index, 'name'], message: 'there is one of this name already' }]
      : [],
  );
}
