import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FILE_SECTIONS } from '../../src/config-sections.js';
import { loadConfig } from '../../src/kernel/config.js';

const KEYS = { PD_REMOVED: 'a'.repeat(32), PD_ORDERS: 'b'.repeat(32), PD_ROUTINE: 'c'.repeat(32), PD_TOKEN: 'token' };
const ROUTING_KEYS = '{removed: "${PD_REMOVED}", orders: "${PD_ORDERS}", routine: "${PD_ROUTINE}"}';

function load(text: string, env: Record<string, string> = {}) {
  const cwd = mkdtempSync(join(tmpdir(), 'alerting-config-'));
  writeFileSync(join(cwd, 'plumbline.yaml'), text);
  return loadConfig({ ...KEYS, ...env }, { sections: FILE_SECTIONS, cwd });
}

const faultsOf = (text: string, env: Record<string, string> = {}): string[] =>
  (load(text, env).faults ?? []).map(({ source, line, key, message }) => `${source}:${line ?? ''} ${key}: ${message}`);

describe('the alerting section', () => {
  it('needs nothing, and has PagerDuty’s own hosts by default', () => {
    expect(load('alerting: {}').config?.file.alerting).toEqual({ tickets: 'pagerduty' });
    const { config } = load(`alerting:\n  pagerduty:\n    routingKeys: ${ROUTING_KEYS}\n`);
    expect(config?.file.alerting?.pagerduty).toEqual({
      routingKeys: { removed: KEYS.PD_REMOVED, orders: KEYS.PD_ORDERS, routine: KEYS.PD_ROUTINE },
      eventsHost: 'events.pagerduty.com',
      restHost: 'api.pagerduty.com',
      webhookSecrets: [],
      escalationPolicies: [],
    });
    expect(config?.warnings).toEqual([]);
  });

  it('takes both kinds of second channel', () => {
    const env = { SMTP: 'smtps://user:pw@mail.example.com', HOOK: 'https://hooks.example.com/T/B/x' };
    const email = 'alerting: {secondChannel: {kind: email, url: "${SMTP}", from: a@example.com, to: [b@example.com]}}';
    expect(load(email, env).config?.file.alerting?.secondChannel).toMatchObject({ kind: 'email', url: env.SMTP });
    const hook = 'alerting: {secondChannel: {kind: webhook, url: "${HOOK}"}}';
    expect(load(hook, env).config?.file.alerting?.secondChannel).toEqual({ kind: 'webhook', url: env.HOOK });
  });

  it('reports every fault at once, with file, line and key, and no value', () => {
    const text = `alerting:
  publicUrl: plumbline.example.com
  pagerduty:
    routingKeys:
      removed: ${'d'.repeat(32)}
      orders: "\${PD_ROUTINE}"
      routine: "\${PD_ROUTINE}"
    eventsHost: https://events.pagerduty.com
    webhookSecrets: [plain]
    caFile: /nowhere/ca.pem
    escalationPolicies: [P1]
  secondChannel: {kind: pigeon}
  heartbeatUrl: https://hc-ping.com/secret
  tickets: email
  heartbeaturl: x
`;
    const faults = faultsOf(text);
    expect(faults).toEqual(
      expect.arrayContaining([
        'plumbline.yaml:2 alerting.publicUrl: expected a URL that begins with http:// or https://',
        'plumbline.yaml:5 alerting.pagerduty.routingKeys.removed: must come from the environment: write "${NAME}" and set NAME',
        'plumbline.yaml:7 alerting.pagerduty.routingKeys.routine: is the key of orders too; each route needs a service of its own',
        'plumbline.yaml:8 alerting.pagerduty.eventsHost: expected a host, with a port if need be, and no https:// before it',
        'plumbline.yaml:9 alerting.pagerduty.webhookSecrets[0]: must come from the environment: write "${NAME}" and set NAME',
        'plumbline.yaml:10 alerting.pagerduty.caFile: expected a readable file with a certificate (PEM) in it',
        'plumbline.yaml:11 alerting.pagerduty.escalationPolicies: cannot be looked up without token',
        'plumbline.yaml:12 alerting.secondChannel.kind: expected kind: email or kind: webhook',
        'plumbline.yaml:13 alerting.heartbeatUrl: must come from the environment: write "${NAME}" and set NAME',
        'plumbline.yaml:14 alerting.tickets: expected pagerduty, second or none',
        'plumbline.yaml:15 alerting.heartbeaturl: unknown key; did you mean heartbeatUrl?',
      ]),
    );
    expect(faults.join()).not.toContain('d'.repeat(32));
    expect(faults.join()).not.toContain('hc-ping');
  });

  it('says once that a variable is not set', () => {
    const faults = faultsOf(`alerting: {pagerduty: {routingKeys: ${ROUTING_KEYS}, token: "\${NOT_SET}"}}`);
    expect(faults).toEqual([
      expect.stringContaining('alerting.pagerduty.token: ${NOT_SET} is not set in the environment'),
    ]);
  });

  it('refuses tickets for a channel that there is not', () => {
    expect(faultsOf('alerting: {tickets: second}')).toEqual([
      'plumbline.yaml:1 alerting.tickets: there is no secondChannel',
    ]);
    expect(faultsOf('alerting: {tickets: pagerduty}')).toEqual([
      'plumbline.yaml:1 alerting.tickets: there is no pagerduty section',
    ]);
  });
});

it('bears any value in its check: what is broken has been reported already', () => {
  for (const alerting of [null, 7, 'text', [], { pagerduty: 7 }, { pagerduty: { webhookSecrets: [7, null] } }]) {
    expect(() => FILE_SECTIONS.check?.({ alerting })).not.toThrow();
  }
});
