import type { Counter, Meter } from '@opentelemetry/api';
import type { Notification, Sent } from './notification.js';
import type { Beat } from './beats.js';

/** A recipient as a scrape sees it. */
export interface RecipientReading {
  world: string;
  channel: string;
  recipient: string;
  isFailing: boolean;
  waiting: number;
  oldestWaitingSeconds: number;
}

/** The instruments of telling. Labels stay few: a route at most, never a shop or a key. */
export class NotifyMetrics {
  private readonly said: Counter;
  private readonly beats: Counter;

  constructor(private readonly meter: Meter) {
    this.said = meter.createCounter('plumbline_notifications_total', {
      description: 'Tries to tell somebody, by channel and what became of them',
    });
    this.beats = meter.createCounter('plumbline_heartbeats_total', {
      description: 'Heartbeats sent out, by whether we were well and whether they were heard',
    });
  }

  countSaid(channel: Notification['channel'], outcome: Sent['outcome'], count: number): void {
    this.said.add(count, { channel, outcome });
  }

  countBeat({ world, state, isHeard }: Beat): void {
    this.beats.add(1, { world, state, heard: isHeard });
  }

  /** @param read must not throw: what cannot be read is not shown */
  observe(read: () => Promise<readonly RecipientReading[]>): void {
    const waiting = this.meter.createObservableGauge('plumbline_notifications_waiting', {
      description: 'What is still to be said, by recipient',
    });
    const oldest = this.meter.createObservableGauge('plumbline_notification_oldest_waiting_seconds', {
      description: 'Age of what has waited longest to be said, by recipient',
      unit: 's',
    });
    const failing = this.meter.createObservableGauge('plumbline_notifier_failing', {
      description: '1 = the recipient does not answer, refuses, or pages nobody',
    });
    this.meter.addBatchObservableCallback(
      async (result) => {
        for (const { world, channel, recipient, ...reading } of await read()) {
          const labels = { world, channel, recipient };
          result.observe(waiting, reading.waiting, labels);
          result.observe(oldest, reading.oldestWaitingSeconds, labels);
          result.observe(failing, reading.isFailing ? 1 : 0, labels);
        }
      },
      [waiting, oldest, failing],
    );
  }
}
