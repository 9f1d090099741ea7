import type { z } from 'zod';
import type { orderShape } from '../orders.http.js';
import { table, when } from './table.js';

type Order = z.output<typeof orderShape>;

/** One order for people: where it stands at every destination, then how it came there. */
export function orderText(order: Order, width: number): string {
  const parts = [`Order ${order.orderId} of ${order.shop}`, ''];
  parts.push(
    table(
      ['EVENT', 'DESTINATION', 'STATE', 'REASON', 'TRIES', 'SINCE'],
      order.obligations.map((each) => [
        each.kind === 'refund' ? `refund ${each.subjectId}` : each.kind,
        each.destination,
        each.state,
        each.reason,
        each.attempts,
        when(each.confirmedAt ?? each.acceptedAt ?? each.queuedAt ?? each.loggedAt),
      ]),
      width,
    ),
  );
  for (const each of order.obligations) {
    parts.push('', `${each.kind} at ${each.destination}`);
    parts.push(
      table(
        ['  AT', 'STATE', 'TRY', 'MS', 'REASON', 'DETAIL'],
        each.facts.map((fact) => [
          `  ${when(fact.at)}`,
          fact.state,
          fact.attempt,
          fact.durationMs,
          fact.reason,
          fact.detail ?? (fact.webhookId === null ? null : `webhook ${fact.webhookId}`),
        ]),
        width,
      ),
    );
    if (each.nextTryAt !== null) parts.push(`  next try ${when(each.nextTryAt)}`);
  }
  if (order.deadLetters.length > 0) {
    parts.push('', 'Dead letters');
    parts.push(
      table(
        ['  ID', 'DESTINATION', 'LANE', 'REASON', 'BURIED', 'REPLAYED'],
        order.deadLetters.map((letter) => [
          `  ${letter.id}`,
          letter.destination,
          letter.lane,
          letter.reason,
          when(letter.buriedAt),
          when(letter.replayedAt),
        ]),
        width,
      ),
    );
  }
  return parts.join('\n');
}
