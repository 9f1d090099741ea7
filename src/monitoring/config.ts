import { z } from 'zod';
import { member, type KeyPath } from '../kernel/config-faults.js';
import type { Sections } from '../kernel/config.js';

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

const shape = { notices };

export type MonitoringFile = z.output<z.ZodObject<typeof shape>>;
export type NoticeSettings = NonNullable<MonitoringFile['notices']>;

/** Monitoring's part of the file. */
export const MONITORING_SECTIONS: Sections<typeof shape> = { shape, check: unreachable };

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
