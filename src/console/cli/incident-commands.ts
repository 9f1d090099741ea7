import { Option } from 'commander';
import type { z } from 'zod';
import { incidentShape, openedIncidentShape } from '../incidents.http.js';
import { listOf } from '../shapes.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { table, when } from './table.js';

type Incident = z.output<typeof incidentShape>;
type Json = { json?: boolean };

const PATH = '/api/v1/incidents';
const SEVERITIES = ['1', '2', '3', '4'];
const STATES = ['investigating', 'identified', 'monitoring', 'resolved'];

export function addIncidents({ program, api, width, command, print, list }: Cli): void {
  const incident = program.command('incident').description('incidents: what is wrong, how bad, and what ends it');
  const write = async (id: string, what: string, body: unknown, options: Json): Promise<void> => {
    const answer = await api.ask(incidentShape, 'POST', `${PATH}/${encodeURIComponent(id)}/${what}`, { body });
    print(answer, options, lineOf);
  };

  command(incident, 'list', 'incidents, newest first')
    .option('--state <state>', `open, all, ${STATES.join(', ')}`, 'open')
    .option('--world <world>', 'real or sandbox')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & Json) => {
      const answer = await api.ask(listOf(incidentShape), 'GET', PATH, { query });
      list(
        answer,
        { json: json ?? false },
        ['ID', 'SEV', 'STATE', 'SINCE', 'LOST', 'LATE', 'TITLE'],
        (each) => [
          each.id,
          each.severity,
          each.state,
          when(each.startedAt),
          each.ordersLost,
          each.ordersLate,
          each.title,
        ],
        'No incident.',
      );
    });
  command(incident, 'show <id>', 'what is known of it, what stands before its end, and its timeline').action(
    async (id: string, options: Json) => {
      const answer = await api.ask(openedIncidentShape, 'GET', `${PATH}/${encodeURIComponent(id)}`);
      print(answer, options, (each) => incidentText(each, width));
    },
  );
  command(incident, 'declare <title>', 'one that no alert has opened; name no shop, the public may read it')
    .addOption(new Option('--severity <n>', '1 is the worst').choices(SEVERITIES).makeOptionMandatory())
    .option('--touches-orders', 'orders may be missing or late: only a proof ends it')
    .option('--shop <domain...>', 'the shops; default every shop when orders are touched')
    .option('--component <name...>', 'intake, processing, delivery:<kind>, reconciliation or status')
    .option('--world <world>', 'real or sandbox', 'real')
    .action(
      async (
        title: string,
        options: Json & {
          severity: string;
          touchesOrders?: boolean;
          shop?: string[];
          component?: string[];
          world: string;
        },
      ) => {
        const answer = await api.ask(incidentShape, 'POST', PATH, {
          body: {
            title,
            severity: Number(options.severity),
            touchesOrders: options.touchesOrders ?? false,
            shops: options.shop,
            components: options.component,
            world: options.world,
          },
        });
        print(answer, options, lineOf);
      },
    );
  command(incident, 'note <id> <text>', 'add a line to its timeline').action(
    (id: string, text: string, options: Json) => write(id, 'notes', { text }, options),
  );
  command(incident, 'update <id> <text>', 'tell the public')
    .addOption(new Option('--state <state>', 'what it is in from now on').choices(STATES).makeOptionMandatory())
    .action((id: string, text: string, options: Json & { state: string }) =>
      write(id, 'updates', { state: options.state, body: text }, options),
    );
  command(incident, 'raise <id> <severity> <reason>', 'it is worse than it looks; never lowered').action(
    (id: string, severity: string, reason: string, options: Json) =>
      write(id, 'raise', { severity: Number(severity), reason }, options),
  );
  command(incident, 'resolve <id>', 'end it, when nothing is missing any more').action((id: string, options: Json) =>
    write(id, 'resolve', undefined, options),
  );
}

function lineOf({ id, severity, state, title, gate }: Incident): string {
  const missing = gate.length === 0 ? '' : `\nBefore its end: ${gate.join('; ')}`;
  return `Incident ${id}, severity ${severity}, ${state}: ${title}${missing}`;
}

function incidentText(incident: z.output<typeof openedIncidentShape>, width: number): string {
  const { alerts, timeline, updates, gate, proofs, shops } = incident;
  const rows: [string, string][] = [
    ['severity', `${incident.severity}: ${incident.severityReason}`],
    ['state', incident.state],
    ['cause', incident.cause],
    ['since', when(incident.startedAt) ?? '-'],
    ['mitigated', when(incident.mitigatedAt) ?? 'no'],
    ['resolved', when(incident.resolvedAt) ?? 'no'],
    [
      'orders',
      `${incident.ordersLost} lost (${incident.ordersUnrecoverable} for good), ${incident.ordersLate} late, ` +
        `${incident.ordersRecovered} recovered, ${incident.ordersQueued} queued`,
    ],
    ['shops', shops.length <= 5 ? shops.join(', ') || '-' : `${shops.length}`],
    ['proofs', proofs.length === 0 ? '-' : proofs.slice(0, 10).join(', ')],
  ];
  const parts = [`${incident.title} (${incident.id})`, ...rows.map(([key, value]) => `${key.padEnd(10)} ${value}`)];
  if (gate.length > 0) parts.push('', 'Before its end:', ...gate.map((line) => `- ${line}`));
  if (alerts.length > 0) {
    const alertRows = alerts.map((each) => [each.id, each.closedAt === null ? 'open' : 'closed', each.summary]);
    parts.push('', table(['ALERT', 'STATE', 'SUMMARY'], alertRows, width));
  }
  const lines = timeline.map((each) => [when(each.at), each.kind, each.actor, each.text]);
  parts.push('', table(['AT', 'WHAT', 'WHO', 'TEXT'], lines, width));
  const [last] = updates;
  if (last) parts.push('', `Told to the public at ${when(last.at) ?? ''}: ${last.body}`);
  return parts.join('\n');
}
