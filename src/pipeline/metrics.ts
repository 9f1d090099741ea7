import type { Attributes, BatchObservableResult, Counter, Histogram, Meter, ObservableGauge } from '@opentelemetry/api';
import type { LoopHealth } from '../kernel/loop.js';
import type { Buckets } from '../kernel/telemetry.js';
import type { DestinationKind } from './contract.js';

/** What a scrape finds waiting. Read from the database by `PipelineQueries.gauges`. */
export interface GaugeReading {
  inbox: { backlogEntries: number; lagSeconds: number };
  deliveries: { destination: string; backlog: number; ageSeconds: number }[];
  deadLetters: { lane: 'ours' | 'theirs'; open: number }[];
  held: { reason: string; open: number }[];
}

const ANSWER = 'plumbline_intake_answer_duration_seconds';
const DELIVERY = 'plumbline_delivery_duration_seconds';
const END_TO_END = 'plumbline_end_to_end_seconds';

export const PIPELINE_BUCKETS: readonly Buckets[] = [
  // Aim: p99 under 50 ms; 4 s is where intake gives up itself; Shopify gives up at 5 s.
  { instrument: ANSWER, bounds: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 5] },
  { instrument: DELIVERY, bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] },
  // From a tenth of the aim (p50 25 ms) to the end of retries (72 h).
  {
    instrument: END_TO_END,
    bounds: [0.0025, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 60, 300, 3600, 21600, 86400, 259200],
  },
];

/** The pipeline's instruments. Labels stay few: a destination's name at most, never a shop or an order. */
export class PipelineMetrics {
  private readonly answer: Histogram;
  private readonly appended: Counter;
  private readonly routed: Counter;
  private readonly delivery: Histogram;
  private readonly endToEnd: Histogram;

  constructor(private readonly meter: Meter) {
    this.answer = meter.createHistogram(ANSWER, { description: 'Time to answer a webhook', unit: 's' });
    this.appended = meter.createCounter('plumbline_intake_appended_total', {
      description: 'Webhooks made durable, by where they were put',
    });
    this.routed = meter.createCounter('plumbline_router_webhooks_total', {
      description: 'Webhooks read from the inbox, by what became of them',
    });
    this.delivery = meter.createHistogram(DELIVERY, { description: 'Time of one send to a destination', unit: 's' });
    this.endToEnd = meter.createHistogram(END_TO_END, {
      description: 'From receiving a webhook to the acceptance of its event by the destination',
      unit: 's',
    });
  }

  /** @param status the HTTP status that was answered; recorded as its class (`2xx`) */
  intakeAnswered(seconds: number, status: number): void {
    this.answer.record(seconds, { status: `${Math.floor(status / 100)}xx` });
  }

  /** @param where which stable storage took them */
  intakeAppended(where: 'inbox' | 'journal', count = 1): void {
    this.appended.add(count, { where });
  }

  webhookRouted(outcome: string, count = 1): void {
    this.routed.add(count, { outcome });
  }

  delivered(destinationKind: DestinationKind, outcome: string, seconds: number): void {
    this.delivery.record(seconds, { destination_kind: destinationKind, outcome });
  }

  acceptedAfter(destinationKind: DestinationKind, seconds: number): void {
    this.endToEnd.record(seconds, { destination_kind: destinationKind });
  }

  /**
   * Publishes what waits. The SDK repeats the last value of a series that is not observed, so every series seen once
   * is observed for ever: 0 when a reading no longer has it, NaN when nothing can be read. No data is not good data.
   */
  observe(read: () => Promise<GaugeReading>, loops: () => readonly LoopHealth[]): void {
    const gauge = (name: string, description: string, unit?: string): LabelledGauge =>
      new LabelledGauge(this.meter.createObservableGauge(name, { description, ...(unit ? { unit } : {}) }));
    const inboxBacklog = gauge('plumbline_inbox_backlog_entries', 'Webhooks stored and not routed yet');
    const inboxLag = gauge('plumbline_inbox_lag_seconds', 'Age of the oldest webhook not routed yet', 's');
    const backlog = gauge('plumbline_delivery_backlog', 'Events waiting for a destination');
    const backlogAge = gauge('plumbline_delivery_backlog_age_seconds', 'Age of the longest waiting event', 's');
    const deadLetters = gauge('plumbline_dead_letters_open', 'Dead letters nobody has replayed, by who must act');
    const held = gauge('plumbline_held_open', 'Webhooks that cannot go on yet, by reason');
    const loopAge = gauge('plumbline_loop_age_seconds', 'Time since the last good round of an internal loop', 's');

    const all = [inboxBacklog, inboxLag, backlog, backlogAge, deadLetters, held];
    this.meter.addBatchObservableCallback(
      async (result) => {
        const reading = await read().catch(() => null);
        if (!reading) {
          for (const each of all) each.unreadable(result);
          return;
        }
        const { inbox, deliveries } = reading;
        inboxBacklog.observe(result, [[inbox.backlogEntries, {}]]);
        inboxLag.observe(result, [[inbox.lagSeconds, {}]]);
        backlog.observe(
          result,
          deliveries.map(({ destination, backlog: waiting }) => [waiting, { destination }]),
        );
        backlogAge.observe(
          result,
          deliveries.map(({ destination, ageSeconds }) => [ageSeconds, { destination }]),
        );
        deadLetters.observe(
          result,
          reading.deadLetters.map(({ lane, open }) => [open, { lane }]),
        );
        held.observe(
          result,
          reading.held.map(({ reason, open }) => [open, { reason }]),
        );
      },
      all.map((each) => each.instrument),
    );
    this.meter.addBatchObservableCallback(
      (result) => {
        loopAge.observe(
          result,
          loops().map(({ name, ageMs }) => [ageMs / 1000, { loop: name }]),
        );
      },
      [loopAge.instrument],
    );
  }
}

/** A gauge that remembers which series it has published. */
class LabelledGauge {
  private readonly seen = new Map<string, Attributes>();

  constructor(readonly instrument: ObservableGauge) {}

  observe(result: BatchObservableResult, values: readonly (readonly [number, Attributes])[]): void {
    const now = new Set<string>();
    for (const [value, labels] of values) {
      const key = JSON.stringify(labels);
      now.add(key);
      this.seen.set(key, labels);
      result.observe(this.instrument, value, labels);
    }
    for (const [key, labels] of this.seen) if (!now.has(key)) result.observe(this.instrument, 0, labels);
  }

  unreadable(result: BatchObservableResult): void {
    for (const labels of this.seen.values()) result.observe(this.instrument, Number.NaN, labels);
  }
}
