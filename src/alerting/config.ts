import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { keyOf, member, type KeyPath } from '../kernel/config-faults.js';
import type { Sections } from '../kernel/config.js';
import { ROUTES } from './contract.js';

/** Facts about a key that the generated document shows. */
const about = (description: string, more: { secret?: boolean } = {}): { description: string; secret?: boolean } => ({
  description,
  ...more,
});

const nonEmpty = z.string('expected text').min(1, 'must not be empty');

function isUrl(protocols: readonly string[]): (value: string) => boolean {
  return (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol);
}
const httpUrl = z
  .string('expected text')
  .refine(isUrl(['http:', 'https:']), 'expected a URL that begins with http:// or https://');

/** Source: PagerDuty developer docs, "Events API v2", routing_key: 32 characters. */
const routingKey = z
  .string('expected text')
  .regex(/^[0-9A-Za-z]{32}$/, 'expected an integration key of 32 letters and digits')
  .meta(about('Integration key (Events API v2) of the service of this route.', { secret: true }));

/** The client library always speaks https; the port may be another. */
const host = z
  .string('expected text')
  .regex(/^[A-Za-z0-9.-]+(:\d{1,5})?$/, 'expected a host, with a port if need be, and no https:// before it');

/** @returns whether it is a file that holds a certificate */
function holdsCertificate(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes('-----BEGIN CERTIFICATE-----');
  } catch {
    return false;
  }
}

const pagerduty = z.strictObject({
  routingKeys: z.strictObject({ removed: routingKey, orders: routingKey, routine: routingKey }).meta(
    about('One service of PagerDuty a route: removed subscriptions, missing orders, everything else.', {
      secret: true,
    }),
  ),
  eventsHost: host.default('events.pagerduty.com').meta(about('Where events are sent. For the EU: its own host.')),
  restHost: host.default('api.pagerduty.com').meta(about('Where incidents and who is on call are looked up.')),
  token: nonEmpty.optional().meta(
    about('A read-only REST API key: pages are confirmed with it, and who is on call is looked up.', {
      secret: true,
    }),
  ),
  webhookSecrets: z
    .array(nonEmpty.meta(about('One secret of a webhook subscription.', { secret: true })))
    .default([])
    .meta(
      about(
        'Secrets that V3 webhooks to `/inbound/pagerduty` are signed with, newest first; older ones stay accepted.',
        {
          secret: true,
        },
      ),
    ),
  caFile: nonEmpty
    .refine(holdsCertificate, 'expected a readable file with a certificate (PEM) in it')
    .optional()
    .meta(about('Certificates that are trusted for these hosts besides the usual ones: a proxy, a test server.')),
  escalationPolicies: z
    .array(nonEmpty)
    .default([])
    .meta(
      about('Ids of escalation policies; every hour it is looked up that somebody is on call for each. Needs token.'),
    ),
});

const secondChannel = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('email'),
      url: z
        .string('expected text')
        .refine(isUrl(['smtp:', 'smtps:']), 'expected a URL like smtp://user:password@mail.example.com:587')
        .meta(
          about('The mail server: smtps:// speaks TLS at once, smtp:// as soon as the server offers it.', {
            secret: true,
          }),
        ),
      from: z.email('expected a mail address').meta(about('The sender.')),
      to: z.array(z.email('expected a mail address')).min(1, 'name at least one address').meta(about('Who is told.')),
      caFile: nonEmpty
        .refine(holdsCertificate, 'expected a readable file with a certificate (PEM) in it')
        .optional()
        .meta(about('Certificates that are trusted for the mail server besides the usual ones.')),
    }),
    z.strictObject({
      kind: z.literal('webhook'),
      url: httpUrl.meta(about('Where it is posted, in the shape of a Slack message.', { secret: true })),
      secret: nonEmpty.optional().meta(
        about('Signs each message in the header X-Plumbline-Signature; Slack itself looks at none.', {
          secret: true,
        }),
      ),
    }),
  ],
  'expected kind: email or kind: webhook',
);

const alerting = z
  .strictObject({
    publicUrl: httpUrl
      .optional()
      .meta(about('The service as people reach it; links in pages begin with it. Without it pages have no links.')),
    pagerduty: pagerduty.optional().meta(about('The pager. Without it only the second channel tells.')),
    secondChannel: secondChannel
      .optional()
      .meta(about('Tells what the pager has not confirmed within 60 s, and that the pager fails.')),
    heartbeatUrl: httpUrl.optional().meta(
      about('Called every minute while we are well, in the manner of healthchecks.io: its silence is the alarm.', {
        secret: true,
      }),
    ),
    tickets: z
      .enum(['pagerduty', 'second', 'none'], 'expected pagerduty, second or none')
      .default('pagerduty')
      .meta(
        about(
          'Where alerts go that can wait for the next working day: as warnings to the routine service of PagerDuty, to the second channel, or nowhere but the API.',
        ),
      ),
    alertmanager: z
      .strictObject({ url: httpUrl.meta(about('Base URL of an Alertmanager that our alerts are posted to as well.')) })
      .optional()
      .meta(about('An Alertmanager that hears of every alert.')),
  })
  .optional()
  .meta(about('Who is told, and how.'));

const shape = { alerting };

export type AlertingFile = NonNullable<z.output<typeof alerting>>;
export type PagerDutySettings = NonNullable<AlertingFile['pagerduty']>;
export type SecondChannelSettings = NonNullable<AlertingFile['secondChannel']>;

/** Alerting's part of the file. */
export const ALERTING_SECTIONS: Sections<typeof shape> = { shape, check };

/** Keys that let their reader page people, read their incidents, or send in our name. */
const SECRETS: readonly KeyPath[] = [
  ...ROUTES.map((route) => ['alerting', 'pagerduty', 'routingKeys', route]),
  ['alerting', 'pagerduty', 'token'],
  ['alerting', 'secondChannel', 'url'],
  ['alerting', 'secondChannel', 'secret'],
  ['alerting', 'heartbeatUrl'],
];

function check(
  raw: Readonly<Record<string, unknown>>,
  isFromEnvironment: (path: KeyPath) => boolean = () => true,
): { path: KeyPath; message: string }[] {
  const at = (path: KeyPath): unknown => path.reduce<unknown>((here, part) => member(here, part), raw);
  const faults: { path: KeyPath; message: string }[] = [];
  const webhookSecrets = at(['alerting', 'pagerduty', 'webhookSecrets']);
  const secrets = [
    ...SECRETS,
    ...(Array.isArray(webhookSecrets) ? webhookSecrets : []).map((_, index) => [
      'alerting',
      'pagerduty',
      'webhookSecrets',
      index,
    ]),
  ];
  for (const path of secrets) {
    if (typeof at(path) === 'string' && !isFromEnvironment(path)) {
      faults.push({ path, message: `must come from the environment: write "\${NAME}" and set NAME` });
    }
  }
  faults.push(...sameKeys(at), ...withoutUse(at));
  return faults;
}

/** Routes on one key are one service: whoever mutes its noise mutes removals too. */
function sameKeys(at: (path: KeyPath) => unknown): { path: KeyPath; message: string }[] {
  const keyOfRoute = (route: string): unknown => at(['alerting', 'pagerduty', 'routingKeys', route]);
  return ROUTES.flatMap((route, index) => {
    const twin = ROUTES.slice(0, index).find((other) => keyOfRoute(other) === keyOfRoute(route));
    if (twin === undefined || typeof keyOfRoute(route) !== 'string' || keyOfRoute(route) === '') return [];
    const path = ['alerting', 'pagerduty', 'routingKeys', route];
    return [{ path, message: `is the key of ${keyOf([twin])} too; each route needs a service of its own` }];
  });
}

function withoutUse(at: (path: KeyPath) => unknown): { path: KeyPath; message: string }[] {
  const faults: { path: KeyPath; message: string }[] = [];
  const policies = at(['alerting', 'pagerduty', 'escalationPolicies']);
  if (Array.isArray(policies) && policies.length > 0 && at(['alerting', 'pagerduty', 'token']) === undefined) {
    faults.push({
      path: ['alerting', 'pagerduty', 'escalationPolicies'],
      message: 'cannot be looked up without token',
    });
  }
  const tickets = at(['alerting', 'tickets']);
  if (tickets === 'second' && at(['alerting', 'secondChannel']) === undefined) {
    faults.push({ path: ['alerting', 'tickets'], message: 'there is no secondChannel' });
  }
  if (tickets === 'pagerduty' && at(['alerting', 'pagerduty']) === undefined) {
    faults.push({ path: ['alerting', 'tickets'], message: 'there is no pagerduty section' });
  }
  return faults;
}
