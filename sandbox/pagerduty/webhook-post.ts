import { createHmac, randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import { Postman } from '../shopify/post.js';
import type { Incident, IncidentChange } from './incidents.js';

/** Source: PagerDuty developer docs, "Webhooks", "Behavior". */
const WITHIN = { connectMs: 5_000, totalMs: 5_000 };
const RETRY_SECONDS = [1, 5, 15, 60, 300, 900, 3_600] as const;
const DROPS_MAX = 3;
const DISABLED_MS = 86_400_000;
const WAITING_MAX = 1_000;

/**
 * Tells a subscriber what happens to incidents, as V3 webhooks: signed, repeated after time-outs, 5xx and 429, dropped on
 * other refusals; after three drops in a row the subscription is switched off for a day.
 */
export class WebhookPost {
  private readonly postman = new Postman(2, WITHIN);
  private readonly waiting = new Set<() => void>();
  private dropsInRow = 0;
  private disabledUntilMs = 0;
  private isStopped = false;
  sent = 0;
  dropped = 0;
  /** Posted and not answered yet. */
  underWay = 0;

  constructor(
    private readonly options: {
      /** Read at each webhook; `null` = nobody has subscribed. */
      url: () => string | null;
      /** The newest first; every one signs, as while one is being replaced by another. */
      secrets: readonly string[];
      services: Readonly<Record<string, string>>;
      clock: Clock;
    },
  ) {}

  get isDisabled(): boolean {
    return this.options.clock.now() < this.disabledUntilMs;
  }

  tell(change: IncidentChange, incident: Incident): void {
    const url = this.options.url();
    if (url === null || this.isDisabled || this.isStopped) return;
    const body = Buffer.from(JSON.stringify(this.bodyOf(change, incident)));
    this.attempt(url, body, randomUUID(), 0);
  }

  stop(): void {
    this.isStopped = true;
    for (const cancel of this.waiting) cancel();
    this.waiting.clear();
    this.postman.close();
  }

  private attempt(url: string, body: Buffer, id: string, attempts: number): void {
    const { secrets, clock } = this.options;
    const signatures = secrets.map((secret) => `v1=${createHmac('sha256', secret).update(body).digest('hex')}`);
    const headers = {
      'Content-Type': 'application/json',
      'X-PagerDuty-Signature': signatures.join(','),
      'X-Webhook-Id': id,
      'X-Webhook-Subscription': 'PSANDBOX',
    };
    this.underWay += 1;
    void this.postman.post(url, headers, body).then((answer) => {
      this.underWay -= 1;
      if (this.isStopped) return;
      const status = answer.outcome === 'answered' ? answer.status : 0;
      if (status >= 200 && status < 300) {
        this.sent += 1;
        this.dropsInRow = 0;
        return;
      }
      const isRepeated = status === 0 || status === 429 || status >= 500;
      const seconds = RETRY_SECONDS[attempts];
      if (isRepeated && seconds !== undefined && this.waiting.size < WAITING_MAX) {
        const cancel = clock.after(seconds * 1_000, () => {
          this.waiting.delete(cancel);
          this.attempt(url, body, id, attempts + 1);
        });
        this.waiting.add(cancel);
        return;
      }
      this.dropped += 1;
      this.dropsInRow += 1;
      if (this.dropsInRow >= DROPS_MAX) this.disabledUntilMs = clock.now() + DISABLED_MS;
    });
  }

  /** Shape: PagerDuty developer docs, "Webhooks", "V3 overview". */
  private bodyOf(change: IncidentChange, incident: Incident): object {
    const reference = (type: string, id: string, summary: string) => ({
      html_url: `https://sandbox.pagerduty.example/${type}s/${id}`,
      id,
      self: `https://api.pagerduty.example/${type}s/${id}`,
      summary,
      type: `${type}_reference`,
    });
    const agent =
      incident.by === null
        ? reference('service', `P${incident.routingKey.slice(0, 6).toUpperCase()}`, 'Events API v2')
        : reference('user', 'PSANDBOXER', incident.by);
    return {
      event: {
        id: randomUUID(),
        event_type: `incident.${change}`,
        resource_type: 'incident',
        occurred_at: new Date(incident.changedAtMs).toISOString(),
        agent: change === 'triggered' ? null : agent,
        client: null,
        data: {
          id: incident.id,
          type: 'incident',
          self: `https://api.pagerduty.example/incidents/${incident.id}`,
          html_url: `https://sandbox.pagerduty.example/incidents/${incident.id}`,
          number: incident.number,
          status: incident.status,
          incident_key: incident.key,
          created_at: new Date(incident.createdAtMs).toISOString(),
          title: incident.title,
          service: reference('service', 'PSANDBOX', this.options.services[incident.routingKey] ?? ''),
          assignees: [],
          escalation_policy: reference('escalation_policy', 'PSANDBOX', 'Sandbox'),
          teams: [],
          priority: null,
          urgency: incident.severity === 'critical' || incident.severity === 'error' ? 'high' : 'low',
          conference_bridge: null,
          resolve_reason: null,
        },
      },
    };
  }
}
