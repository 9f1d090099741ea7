import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configReport, configurationInvalid, didYouMean } from '../../src/kernel/config-faults.js';
import { loadConfig, type Config } from '../../src/kernel/config.js';
import { FILE_SECTIONS, type ServiceFile } from '../../src/config-sections.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'plumbline-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(env: Record<string, string>, file?: string) {
  if (file !== undefined) writeFileSync(join(directory, 'plumbline.yaml'), file);
  return loadConfig(env, { sections: FILE_SECTIONS, cwd: directory });
}

function loaded(env: Record<string, string>, file?: string): Config<ServiceFile> {
  const result = load(env, file);
  if (result.faults) throw new Error(configurationInvalid(result.faults).message);
  return result.config;
}

/** `line:column key: message`, or `environment key: message`. */
function faultsOf(env: Record<string, string>, file?: string): string[] {
  return (load(env, file).faults ?? []).map(
    ({ source, line, column, key, message }) => `${line === null ? source : `${line}:${column}`} ${key}: ${message}`,
  );
}

const GOOD = `
shopify:
  clientSecrets: ["\${CLIENT_SECRET}", old-secret]
  publicUrl: https://hooks.example.com
shops:
  - domain: Acme.myshopify.com
    accessToken: "\${ACME_TOKEN}"
    settings: {timeZone: Europe/Berlin, currency: EUR}
    destinations: [acme-ga4, acme-lake]
destinations:
  - {name: acme-ga4, kind: ga4, measurementId: G-1, apiSecret: "\${GA4_SECRET}", purchaseOn: created}
  - {name: acme-lake, kind: postgres, url: "postgres://\${LAKE_USER}@lake/db", table: events}
  - {name: acme-hook, kind: webhook, url: https://example.com/in, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, enabled: false}
security:
  allowPrivateAddresses: ["127.0.0.0/8", "fd00::/8"]
`;
const ENV = { CLIENT_SECRET: 'cs-1', ACME_TOKEN: 'shpat_1', GA4_SECRET: 'ga-1', LAKE_USER: 'loader' };

describe('the configuration', () => {
  it('needs nothing: every setting has a default or is unset', () => {
    const config = loaded({});
    expect(config).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      databaseUrl: null,
      logLevel: 'info',
      dataDir: join(directory, '.plumbline'),
      queueUrl: null,
      secretKeys: null,
      adminToken: null,
      sandbox: 'auto',
      metricsPort: 9464,
      filePath: null,
      warnings: [],
    });
    expect([...config.roles]).toEqual(['intake', 'worker', 'watch', 'web']);
    expect(config.file.shops).toEqual([]);
    expect(config.file.shopify.apiVersion).toBe('2026-10');
    expect(config.file.shopify.topics).toContain('refunds/create');
  });

  it('fills ${NAME} from the environment, also inside a longer text, and the defaults of every kind', () => {
    const { file } = loaded(ENV, GOOD);
    expect(file.shopify.clientSecrets).toEqual(['cs-1', 'old-secret']);
    expect(file.shops[0]).toMatchObject({
      domain: 'acme.myshopify.com',
      accessToken: 'shpat_1',
      subscriptions: 'shop',
    });
    expect(file.destinations[0]).toMatchObject({
      kind: 'ga4',
      apiSecret: 'ga-1',
      purchaseOn: 'created',
      money: 'shop',
      testOrders: false,
    });
    expect(file.destinations[1]).toMatchObject({ url: 'postgres://loader@lake/db', table: 'events', enabled: true });
    expect(file.destinations[2]).toMatchObject({ enabled: false });
  });

  it('leaves $${NAME} as text and does not read comments or keys', () => {
    const { file } = loaded({}, 'destinations:\n  # ${NOT_SET}\n  - {name: a, kind: segment, writeKey: "$${KEY}"}\n');
    expect(file.destinations[0]).toMatchObject({ writeKey: '${KEY}' });
  });

  it('reports every fault of environment, file and between sections in one go, with line, column and key', () => {
    const file = `shopify:
  clientSecrets: ["\${MISSING_SECRET}"]
  topics: [orders/create, Orders-Paid]
  apiVersion: "2026-11"
shops:
  - domain: acme.example.com
    destinatons: [a]
  - domain: beta.myshopify.com
    destinations: [acme-ga5, acme-ga4]
    settings: {timeZone: Europe/Atlantis}
destinations:
  - name: acme-ga4
    kind: ga4
    measurmentId: G-1
    apiSecret: "\${GA4_SECRET}"
  - {name: acme-ga4, kind: webhook, url: ftp://x, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
  - {name: other, kind: ga5}
security:
  allowPrivateAddresses: [127.0.0.0/99]
shopfy: {}
`;
    expect(faultsOf({ PORT: '99999', PLUMBLINE_SANDBOX: 'onn', PLUMBLINE_QUEUE_URL: 'sqs://q' }, file)).toEqual([
      'environment PORT: expected a port, 0 to 65535 (0 = any free one)',
      'environment PLUMBLINE_QUEUE_URL: this release keeps the inbox in PostgreSQL only; unset it',
      'environment PLUMBLINE_SANDBOX: expected one of on, off, auto; did you mean on?',
      '2:19 shopify.clientSecrets[0]: ${MISSING_SECRET} is not set in the environment; set it or remove it',
      '15:16 destinations[0].apiSecret: ${GA4_SECRET} is not set in the environment; set it or remove it',
      '4:3 shopify.apiVersion: expected a version like "2026-10"',
      '3:27 shopify.topics[1]: expected a topic like orders/create',
      '6:5 shops[0].domain: expected a domain like acme.myshopify.com',
      '7:5 shops[0].destinatons: unknown key; did you mean destinations?',
      '10:16 shops[1].settings.timeZone: expected an IANA time zone like Europe/Berlin',
      '12:5 destinations[0].measurementId: is missing',
      '14:5 destinations[0].measurmentId: unknown key; did you mean measurementId?',
      '16:37 destinations[1].url: expected a URL that begins with http:// or https://',
      '17:19 destinations[2].kind: expected kind to be one of ga4, segment, postgres, webhook',
      '19:27 security.allowPrivateAddresses[0]: expected a range like 10.0.0.0/8 or fd00::/8',
      '20:1 shopfy: unknown key; did you mean shopify?',
      '16:6 destinations[1].name: a destination of this name is declared above',
      '9:20 shops[1].destinations[0]: no destination of the name acme-ga5 is declared; did you mean acme-ga4?',
    ]);
  });

  it('prints no value of a secret, whatever is wrong with it', () => {
    const secret = 'hunter2-hunter2';
    const result = load(
      { DATABASE_URL: `mysql://u:${secret}@h/d`, PLUMBLINE_SECRET_KEY: secret, PLUMBLINE_ADMIN_TOKEN: `${secret} x` },
      `destinations:\n  - {name: a, kind: postgres, url: "${secret}"}\n  - {name: b, kind: segment, writeKey: [${secret}]}\n`,
    );
    const report = configurationInvalid(result.faults ?? []).message;
    expect(result.faults).toHaveLength(5);
    expect(report).not.toContain('hunter2');
  });

  it('does not quote the line of broken YAML', () => {
    const faults = faultsOf({}, 'shopify:\n  clientSecrets: [hunter2\nshops: []\n');
    expect(faults[0]).toMatch(/^3:1 : not valid YAML/);
    expect(faults.join()).not.toContain('hunter2');
  });

  it('wants a client secret as soon as a shop is declared', () => {
    expect(faultsOf({}, 'shops:\n  - {domain: acme.myshopify.com}\n')).toEqual([
      '1:1 shopify.clientSecrets: is missing: without a client secret no webhook of the declared shops can be verified',
    ]);
  });

  it('names a configured file that is not there', () => {
    expect(faultsOf({ PLUMBLINE_CONFIG: 'nowhere.yaml' })).toEqual([
      'environment PLUMBLINE_CONFIG: nowhere.yaml: there is no such file',
    ]);
  });

  it('accepts the sections of later areas and unknown variables, and says that they do nothing', () => {
    const { warnings } = loaded({ PLUMBLINE_ROLE: 'web', PLUMBLINE_URL: 'http://x' }, 'crisis: {a: 1}\n');
    expect(warnings).toEqual([
      'PLUMBLINE_ROLE is not a variable of Plumbline; did you mean PLUMBLINE_ROLES?',
      'section crisis is accepted but not used by this release yet',
    ]);
  });

  it('reads several secret keys, newest first', () => {
    const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const config = loaded({ PLUMBLINE_SECRET_KEY: keys.map((key) => key.toString('base64')).join(', ') });
    expect(config.secretKeys).toEqual(keys);
  });

  it('leaves with exit code 78 and one line a fault, in the order of the file', () => {
    const result = load({ PORT: 'x' }, 'b: 1\na: 2\n');
    const error = configurationInvalid(result.faults ?? []);
    expect(error.exitCode).toBe(78);
    expect(error.message.split('\n')).toEqual([
      '3 faults in the configuration:',
      '  environment  PORT: expected a port, 0 to 65535 (0 = any free one)',
      '  plumbline.yaml:1:1  b: unknown key',
      '  plumbline.yaml:2:1  a: unknown key',
    ]);
  });
});

describe('the check of a configuration', () => {
  it('says that it is fine, names the file, and repeats the warnings', () => {
    const { filePath, warnings } = loaded({}, 'crisis: {}\n');
    const report = configReport({ faults: [], filePath, warnings }, false);
    expect(report.exitCode).toBe(0);
    expect(report.text).toContain(`fine (${join(directory, 'plumbline.yaml')})`);
    expect(report.text).toContain('warning: section crisis');
  });

  it('lists the faults, for people and as JSON, and leaves with 78', () => {
    const { faults = [] } = load({ PORT: 'x' });
    const found = { faults, filePath: null, warnings: [] };
    expect(configReport(found, false)).toMatchObject({
      exitCode: 78,
      text: expect.stringContaining('PORT: ') as string,
    });
    const json = configReport(found, true);
    expect([json.exitCode, JSON.parse(json.text)]).toMatchObject([78, { valid: false, faults: [{ key: 'PORT' }] }]);
  });
});

describe('did you mean', () => {
  it.each([
    ['measurmentId', ['measurementId', 'name'], '; did you mean measurementId?'],
    ['hsot', ['host', 'port'], '; did you mean host?'],
    ['completely', ['name', 'kind'], ''],
    ['x', [], ''],
  ])('%s of %j: %s', (word, known, expected) => {
    expect(didYouMean(word, known)).toBe(expected);
  });
});
