import { Option } from 'commander';
import type { z } from 'zod';
import { listOf } from '../shapes.js';
import { sloShape } from '../slos.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { table } from './table.js';

type Slo = z.output<typeof sloShape>;

export function addSlos({ program, api, command, print, width }: Cli): void {
  command(program, 'slos', 'what is promised of orders, and how many orders of budget are left')
    .addOption(new Option('--world <world>', 'real or sandbox').choices(['real', 'sandbox']))
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(sloShape), 'GET', '/api/v1/slos', { query });
      print(answer, { json: json ?? false }, ({ items }) =>
        items.length === 0
          ? 'No shop yet, so nothing is promised.'
          : items.map((slo) => sloText(slo, width)).join('\n\n'),
      );
    });
}

function sloText(slo: Slo, width: number): string {
  const { provisional, settled } = slo;
  const { budget } = provisional;
  const worst = [...slo.lost].sort((one, other) => other.orders - one.orders).filter(({ orders }) => orders > 0);
  return [
    `${slo.name} (${slo.world}): ${slo.state}`,
    `  promised ${percent(slo.objective)} of ${slo.windowDays} days within ${spanText(slo.arrivedWithinMinutes)}`,
    `  so far   ${percent(provisional.achieved)}: ${provisional.bad} bad of ${provisional.total}`,
    ...(settled ? [`  settled  ${percent(settled.achieved)}: ${settled.good} good of ${settled.owed}`] : []),
    `  budget   ${orders(budget.left)} of ${orders(budget.orders)} orders left`,
    ...(worst.length > 0
      ? [`  lost     ${worst.map((each) => `${each.orders} before ${each.stage}`).join(', ')}`]
      : []),
    ...slo.unrecovered.map((each) => `  missing  ${each.orders} of ${each.shop} at ${each.destination}`),
    table(
      ['WINDOWS', 'BURN', 'LIMIT', 'BAD', ''],
      slo.windows.map((each) => [
        `${spanText(each.longMinutes)} + ${spanText(each.shortMinutes)}`,
        `${rate(each.longBurn)} + ${rate(each.shortBurn)}`,
        rate(each.limit),
        each.longBad,
        each.burning ? `burning: ${each.class}` : '',
      ]),
      width,
    ),
  ].join('\n');
}

/** Never rounded up: one lost order of a million is not none. */
function percent(share: number | null): string {
  if (share === null) return 'unknown';
  return share === 1 ? '100 %' : `${(Math.floor(share * 1e5 + 1e-6) / 1e3).toFixed(3)} %`;
}

function rate(burn: number | null): string {
  return burn === null ? '-' : burn.toFixed(2);
}

function orders(count: number): string {
  if (Number.isInteger(count)) return String(count);
  return Math.abs(count) < 1 ? String(Number(count.toPrecision(1))) : count.toFixed(1);
}

function spanText(minutes: number): string {
  if (minutes % 1_440 === 0) return `${minutes / 1_440} d`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`;
}
