import { Option } from 'commander';
import { z } from 'zod';
import { gapShape, proofShape, reconciliationShape } from '../reconciliations.http.js';
import { id, listOf } from '../shapes.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { EXIT } from './exit.js';
import { table, when } from './table.js';

type Reconciliation = z.output<typeof reconciliationShape>;

const POLL_MS = 1_000;

export function addReconciliation({ program, api, width, command, print, list, outcome }: Cli): void {
  command(program, 'reconcile <shop>', 'compare what a shop sold with what arrived, and bring back what did not')
    .option('--from <instant>', 'orders updated at or after; default a day ago')
    .option('--to <instant>', 'orders updated before; default now, less three minutes')
    .addOption(new Option('--wait <seconds>', 'wait for the end, up to so many seconds').default('0'))
    .action(async (shop: string, options: { json?: boolean; from?: string; to?: string; wait: string }) => {
      const { from, to } = options;
      const asked = await api.ask(z.strictObject({ id }), 'POST', '/api/v1/reconciliations', {
        body: { shop, from, to },
      });
      const report = await watch(asked.id, Number(options.wait) * 1_000);
      print(report, options, (answer) => reportText(answer, width));
      if (report.state !== 'complete' && Number(options.wait) > 0) outcome.exitCode = EXIT.no;
    });
  command(program, 'reconciliation <id>', 'the report of one reconciliation').action(
    async (reconciliation: string, options: { json?: boolean }) => {
      print(await ask(reconciliation), options, (answer) => reportText(answer, width));
    },
  );
  command(program, 'reconciliations', 'reconciliations, newest first')
    .option('--shop <domain>', 'only of this shop')
    .option('--state <state>', 'only in this state')
    .option('--limit <n>', 'at most this many', '20')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(reconciliationShape), 'GET', '/api/v1/reconciliations', { query });
      list(
        answer,
        { json: json ?? false },
        ['ID', 'SHOP', 'WHY', 'FROM', 'TO', 'STATE', 'SOLD', 'OPEN'],
        (each) => [
          each.id,
          each.shop,
          each.why,
          when(each.from),
          when(each.to),
          each.state,
          each.counts.sold,
          each.open,
        ],
        'No reconciliation yet.',
      );
    });
  command(program, 'gaps', 'orders that did not arrive, newest first')
    .option('--shop <domain>', 'only of this shop')
    .option('--state <state>', 'unrecovered, open, requeued, recovered, dead or excluded')
    .option('--order <id>', 'only of this order')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(gapShape), 'GET', '/api/v1/gaps', { query });
      list(
        answer,
        { json: json ?? false },
        ['ORDER', 'EVENT', 'DESTINATION', 'LOST BEFORE', 'CAUSE', 'STATE', 'SHOP', 'FOUND'],
        (each) => [
          each.orderId,
          each.kind,
          each.destination,
          each.stage,
          each.cause,
          each.state,
          each.shop,
          when(each.foundAt),
        ],
        'No gap.',
      );
    });
  command(program, 'proofs', 'how far each shop has been compared with Shopify').action(
    async (options: { json?: boolean }) => {
      const answer = await api.ask(listOf(proofShape), 'GET', '/api/v1/proofs');
      list(
        answer,
        options,
        ['SHOP', 'COMPARED FROM', 'UNTIL', 'NEXT RUN', 'ERROR'],
        (each) => [each.shop, when(each.comparedFrom), when(each.comparedUntil), when(each.nextRunAt), each.lastError],
        'No shop yet.',
      );
    },
  );

  function ask(reconciliation: string): Promise<Reconciliation> {
    return api.ask(reconciliationShape, 'GET', `/api/v1/reconciliations/${encodeURIComponent(reconciliation)}`);
  }

  async function watch(reconciliation: string, waitMs: number): Promise<Reconciliation> {
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const report = await ask(reconciliation);
      if (report.finishedAt !== null || waitedMs >= waitMs) return report;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** A report as a person reads it. */
export function reportText(report: Reconciliation, width: number): string {
  const lines = [
    `Reconciliation ${report.id} of ${report.shop}: ${report.state}${report.detail === null ? '' : ` (${report.detail})`}`,
    `Orders updated from ${when(report.from)} to ${when(report.to)}, asked for by ${report.requestedBy} (${report.why})`,
    `${report.counts.sold} orders listed by Shopify`,
  ];
  if (report.notCovered !== null) lines.push(`Not covered: ${report.notCovered}`);
  if (report.counts.obligations.length > 0) {
    const rows = report.counts.obligations
      .toSorted((one, other) => `${one.destination}${one.kind}`.localeCompare(`${other.destination}${other.kind}`))
      .map(({ destination, kind, state, count }) => [destination, kind, state, count]);
    lines.push('', table(['DESTINATION', 'EVENT', 'WHEN COMPARED', 'ORDERS'], rows, width));
  }
  lines.push('');
  if (report.gaps.length === 0) lines.push(report.listedAt === null ? 'No gap so far.' : 'No gap.');
  else {
    const rows = report.gaps.map((gap) => [
      gap.destination,
      gap.stage,
      gap.cause,
      gap.state,
      gap.reason,
      gap.count,
      gap.sample.slice(0, 2).join(', '),
    ]);
    lines.push(table(['DESTINATION', 'LOST BEFORE', 'CAUSE', 'NOW', 'REASON', 'COUNT', 'FOR EXAMPLE'], rows, width));
    lines.push(`${report.requeued} requeued, ${report.recovered} recovered, ${report.open} open`);
  }
  return lines.join('\n');
}
