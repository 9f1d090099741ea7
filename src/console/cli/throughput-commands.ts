import { Option } from 'commander';
import type { z } from 'zod';
import { listOf } from '../shapes.js';
import { silenceShape } from '../silence.http.js';
import { fleetShape, throughputShape } from '../throughput.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { when } from './table.js';

type Fleet = z.output<typeof fleetShape>;

export function addThroughput({ program, api, command, list }: Cli): void {
  const throughput = command(program, 'throughput', 'what was sold and what arrived, by the hour or day of the sale')
    .option('--shop <domain>', 'only of this shop')
    .option('--destination <name>', 'only at this destination');
  const fleet = command(throughput, 'fleet', 'all shops together, by kind of destination').addOption(
    new Option('--world <world>', 'real or sandbox').choices(['real', 'sandbox']).default('real'),
  );
  for (const each of [throughput, fleet]) {
    each
      .option('--from <instant>', 'default a day ago; by the day, a week ago')
      .option('--to <instant>', 'default now')
      .addOption(new Option('--granularity <step>', 'hour or day').choices(['hour', 'day']).default('hour'))
      .option('--limit <n>', 'at most this many', '50')
      .option('--cursor <text>', 'what follows a page');
  }
  throughput.action(async ({ json, ...query }: Query & { json?: boolean }) => {
    list(
      await api.ask(listOf(throughputShape), 'GET', '/api/v1/throughput', { query }),
      { json: json ?? false },
      ['START', 'SHOP', 'DESTINATION', 'SOLD', 'LOGGED', 'ACCEPTED', 'CONFIRMED', 'MISSING', 'LATE', 'THROUGHPUT'],
      (each) => [
        when(each.start),
        each.shop,
        each.destination,
        each.sold,
        each.logged,
        each.accepted,
        each.confirmation === 'unconfirmable' ? 'cannot' : each.confirmed,
        each.missing,
        each.late,
        percent(each.throughput) + (each.settledAt === null && each.throughput !== null ? ' so far' : ''),
      ],
      'Nothing was sold in this time, as far as is known.',
    );
  });
  fleet.action(async ({ json, ...query }: Query & { json?: boolean }) => {
    list(
      await api.ask(listOf(fleetShape), 'GET', '/api/v1/throughput/fleet', { query }),
      { json: json ?? false },
      ['START', 'KIND', 'PROVED', 'SOLD', 'SETTLED', 'SO FAR', 'LOST'],
      (each) => [
        when(each.start),
        each.kind ?? 'all',
        `${each.shopsProved} of ${each.shops} shops`,
        (each.settled.sold ?? 0) + (each.provisional.sold ?? 0),
        percent(each.settled.throughput),
        percent(each.provisional.throughput),
        lostText(each),
      ],
      'Nothing was sold in this time, as far as is known.',
    );
  });
  command(program, 'silence', 'how each shop sells against how it usually does')
    .option('--shop <domain>', 'only of this shop')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      list(
        await api.ask(listOf(silenceShape), 'GET', '/api/v1/silence', { query }),
        { json: json ?? false },
        ['SHOP', 'STATE', 'LAST ORDER', 'SEEN IN A DAY', 'USUALLY', 'MISSED SINCE', 'BY CHANCE'],
        (each) => [
          each.shop,
          each.state,
          when(each.lastOrderAt),
          each.seen,
          rounded(each.expected),
          rounded(each.expectedSinceLast),
          each.probability === null ? null : each.probability.toPrecision(2),
        ],
        'No shop yet.',
      );
    });
}

/** Never rounded up to 100 %: one lost order of a million is not none. */
function percent(ratio: number | null): string {
  if (ratio === null) return '-';
  return ratio === 1 ? '100 %' : `${(Math.floor(ratio * 1e5) / 1e3).toFixed(3)} %`;
}

function rounded(value: number | null): string | null {
  return value === null ? null : value.toFixed(1);
}

function lostText({ lost }: Fleet): string {
  const some = lost.filter(({ orders }) => orders > 0).map(({ stage, orders }) => `${orders} before ${stage}`);
  return some.length === 0 ? 'none' : some.join(', ');
}
