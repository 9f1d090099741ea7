import type { Counter, Meter } from '@opentelemetry/api';
import type { NoticeClass } from '../contract.js';

/** Counts mails by what they came to. Labels stay few: never a shop. */
export class NoticeMetrics {
  private readonly notices: Counter;
  private readonly refusals: Counter;

  constructor(meter: Meter) {
    this.notices = meter.createCounter('plumbline_notices_total', {
      description: 'Mails that claim to be of Shopify, by what they come to and who handed them in',
    });
    this.refusals = meter.createCounter('plumbline_notices_refused_total', {
      description: 'Hand-overs of mails that were refused without any effect, by the status answered',
    });
  }

  noticed(kind: NoticeClass, provider: string): void {
    this.notices.add(1, { class: kind, provider });
  }

  refused(provider: string, status: number): void {
    this.refusals.add(1, { provider, status });
  }
}
