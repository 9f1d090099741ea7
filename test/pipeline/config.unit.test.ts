import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import type { z } from 'zod';
import { ManualClock } from '../../src/kernel/clock.js';
import { silentLogger } from '../../src/kernel/log.js';
import { destinationCommon, destinationKinds, destinationSchema } from '../../src/pipeline/config.js';
import type { DestinationKind } from '../../src/pipeline/contract.js';
import { createAdapters } from '../../src/pipeline/destinations/registry.js';

const ADAPTERS = createAdapters({ clock: new ManualClock(0), allowPrivateAddresses: [], log: silentLogger });

/** Every key of each kind, filled. */
const FULL: Record<DestinationKind, Record<string, unknown>> = {
  ga4: {
    measurementId: 'G-ABC1',
    apiSecret: 's',
    endpoint: 'https://ga.example.com',
    region: 'eu',
    transactionId: 'order-name',
    validate: true,
    propertyId: '123456789',
    serviceAccount: JSON.stringify({
      client_email: 'reader@project.iam.gserviceaccount.com',
      private_key: generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }),
    }),
    dataEndpoint: 'https://data.example.com',
    settlingHours: 24,
  },
  segment: {
    writeKey: 'k',
    endpoint: 'https://segment.example.com',
    publicToken: 't',
    sourceId: 's',
    publicEndpoint: 'https://api.example.com',
    settlingMinutes: 10,
  },
  postgres: { url: 'postgres://u:p@h/d', table: 'schema.events' },
  webhook: {
    url: 'https://example.com/in',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    headers: { 'x-team': 'data' },
  },
};

it.each(Object.keys(FULL) as DestinationKind[])('the file and the adapter of %s know the same keys', (kind) => {
  const full = FULL[kind];
  expect(Object.keys(destinationKinds[kind]).sort()).toEqual(Object.keys(full).sort());
  expect(ADAPTERS.get(kind)?.checkSettings(full)).toEqual([]);
  const parsed = destinationSchema.parse({ name: 'a', kind, ...full });
  const own = Object.fromEntries(Object.entries(parsed).filter(([key]) => key in full));
  expect(own).toEqual(full);
});

it.each(Object.keys(FULL) as DestinationKind[])('what the file calls secret of %s is what is sealed', (kind) => {
  const secret = Object.entries<z.ZodType>(destinationKinds[kind])
    .filter(([, schema]) => schema.meta()?.['secret'])
    .map(([key]) => key);
  expect(secret).toEqual(ADAPTERS.get(kind)?.secretKeys);
});

it('no kind has a key of its own that is called like a common one', () => {
  for (const keys of Object.values(destinationKinds)) {
    expect(
      Object.keys(keys).filter((key) => key in destinationCommon || ['name', 'kind', 'enabled'].includes(key)),
    ).toEqual([]);
  }
});
