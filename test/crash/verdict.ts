import type { Ga4Receiver } from '../../sandbox/receivers/ga4.js';
import type { SegmentReceiver } from '../../sandbox/receivers/segment.js';
import type { WebhookReceiver } from '../../sandbox/receivers/webhook.js';
import type { Database } from '../../src/kernel/database.js';
import { KIND_CODES, stateOf, type State } from '../../src/pipeline/contract.js';
import type { Sent } from './senders.js';

export interface CrashReport {
  kills: { service: number; postgres: number };
  answered: number;
  repeatsSent: number;
  subjects: { purchase: number; refund: number };
  /** Repeats the destinations saw: the same id again, so without effect. */
  repeatsArrived: { ga4: number; segment: number; hook: number };
  /** Refunds nobody can tell of, because a process died during the call; each has its reason and a dead letter. */
  unconfirmable: number;
  /** What must be empty. Each line names one fault. */
  faults: string[];
}

interface Evidence {
  sent: readonly Sent[];
  repeatsSent: number;
  database: Database;
  warehouse: Database;
  ga4: Ga4Receiver;
  segment: SegmentReceiver;
  hook: WebhookReceiver;
  kills: CrashReport['kills'];
}

const DESTINATIONS = ['ga4', 'segment', 'lake', 'hook'] as const;
const DONE: readonly State[] = ['accepted', 'confirmed'];

/** Holds what was answered 200 against what is in the ledger and at the far sides. */
export async function verdict(evidence: Evidence): Promise<CrashReport> {
  const faults: string[] = [];
  const subjects = new Map(evidence.sent.map((sent) => [`${sent.kind} ${sent.subjectId}`, sent]));
  const ledger = await readLedger(evidence.database);
  const rows = await evidence.warehouse.rows<{ subject_id: string; kind: string; event_id: string }>(
    'select subject_id, kind, event_id from plumbline_events',
  );
  const warehouse = new Map(rows.map((row) => [`${row.kind} ${row.subject_id}`, row.event_id]));
  const ga4Purchases = countBy([...evidence.ga4.purchases.counts.keys()], (key) => key.split(' ')[0] ?? '');
  const refundsByOrder = countBy(
    [...subjects.values()].filter((sent) => sent.kind === 'refund').map((sent) => sent.orderId),
    (orderId) => orderId,
  );
  let unconfirmable = 0;

  for (const [name, sent] of subjects) {
    for (const destination of DESTINATIONS) {
      const state = ledger.get(`${name} ${destination}`);
      if (state === undefined) faults.push(`${name} was answered 200 and is not in the ledger for ${destination}`);
      else if (state === 'unconfirmable' && destination === 'ga4' && sent.kind === 'refund') unconfirmable += 1;
      else if (!DONE.includes(state)) faults.push(`${name} at ${destination} ended as ${state}`);
    }
    const eventId = warehouse.get(name);
    if (eventId === undefined) {
      faults.push(`${name} is not in the warehouse`);
      continue;
    }
    if (!evidence.segment.messageIds.counts.has(eventId)) faults.push(`${name} (${eventId}) is not at Segment`);
    if (!evidence.hook.webhookIds.counts.has(eventId)) faults.push(`${name} (${eventId}) is not at the webhook`);
    if (sent.kind === 'purchase') {
      const clients = ga4Purchases.get(sent.orderId) ?? 0;
      if (clients !== 1) faults.push(`${name} is at GA4 under ${clients} identities instead of one`);
    }
  }

  // One fact, one id: an id that no warehouse row has would be a second identity of something.
  const known = new Set(warehouse.values());
  for (const [place, tally] of [
    ['Segment', evidence.segment.messageIds],
    ['the webhook', evidence.hook.webhookIds],
  ] as const) {
    for (const id of tally.names) if (!known.has(id)) faults.push(`${place} has seen an id of its own: ${id}`);
  }
  // GA4 does not drop a repeated refund: more of them than Shopify made would be money taken back twice.
  for (const [orderId, count] of evidence.ga4.refunds.counts) {
    if (count > (refundsByOrder.get(orderId) ?? 0)) faults.push(`order ${orderId} was refunded ${count} times at GA4`);
  }
  const purchases = [...subjects.values()].filter((sent) => sent.kind === 'purchase').length;
  return {
    kills: evidence.kills,
    answered: evidence.sent.length,
    repeatsSent: evidence.repeatsSent,
    subjects: { purchase: purchases, refund: subjects.size - purchases },
    repeatsArrived: {
      ga4: evidence.ga4.purchases.repeats,
      segment: evidence.segment.messageIds.repeats,
      hook: evidence.hook.webhookIds.repeats,
    },
    unconfirmable,
    faults,
  };
}

async function readLedger(database: Database): Promise<Map<string, State>> {
  const rows = await database.rows<{ subject_id: string; kind: number; name: string; state: number }>(
    `select l.subject_id, l.kind, d.name, l.state from pipeline.ledger l
       join pipeline.destination d on d.id = l.destination_id`,
  );
  const purchase: number = KIND_CODES.purchase;
  return new Map(
    rows.map((row) => [
      `${row.kind === purchase ? 'purchase' : 'refund'} ${row.subject_id} ${row.name}`,
      stateOf(row.state),
    ]),
  );
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
