/** An event of the Events API v2, as it was sent. */
export interface PagerEvent {
  routingKey: string;
  action: 'trigger' | 'acknowledge' | 'resolve';
  /** `null` = none was given: always a new incident. */
  dedupKey: string | null;
  summary: string;
  severity: string;
  payload: Readonly<Record<string, unknown>>;
  links: readonly { href: string; text: string }[];
}

export interface Incident {
  id: string;
  number: number;
  routingKey: string;
  key: string;
  status: 'triggered' | 'acknowledged' | 'resolved';
  title: string;
  severity: string;
  createdAtMs: number;
  changedAtMs: number;
  /** Who acknowledged or resolved it last; `null` = an event did. */
  by: string | null;
  /** Triggers that it holds. */
  triggers: number;
  /** When somebody was notified: when it was made, and when an acknowledgement was taken back. */
  pagedAtMs: number[];
  payload: Readonly<Record<string, unknown>>;
  links: readonly { href: string; text: string }[];
}

export type IncidentChange = 'triggered' | 'acknowledged' | 'unacknowledged' | 'resolved';

const KEPT_MAX = 2_000;

/**
 * What becomes of events. Source: PagerDuty developer docs, "Events API v2", "Trigger events" and "Deduplication": the same
 * key by the same routing key joins the open incident; after a resolve a trigger makes a new one; what acknowledges or
 * resolves without an open one is dropped; a trigger for an acknowledged incident notifies nobody.
 */
export class Incidents {
  /** Oldest first. */
  private readonly all: Incident[] = [];
  private count = 0;

  constructor(private readonly changed: (change: IncidentChange, incident: Incident) => void) {}

  get list(): readonly Incident[] {
    return this.all;
  }

  /** How many there ever were, those that are forgotten by now included. */
  get made(): number {
    return this.count;
  }

  byId(id: string): Incident | undefined {
    return this.all.find((incident) => incident.id === id);
  }

  take(event: PagerEvent, nowMs: number): void {
    const key = event.dedupKey;
    const open = this.all.findLast(
      (incident) => incident.key === key && incident.routingKey === event.routingKey && incident.status !== 'resolved',
    );
    if (event.action === 'trigger') {
      if (open === undefined) this.open(event, nowMs);
      else open.triggers += 1;
    } else if (open !== undefined) {
      this.change(open, event.action === 'acknowledge' ? 'acknowledged' : 'resolved', null, nowMs);
    }
  }

  /** What a person does in the app. @returns false when there is nothing to change */
  act(id: string, change: IncidentChange, by: string | null, nowMs: number): boolean {
    const incident = this.byId(id);
    return incident !== undefined && this.change(incident, change, by, nowMs);
  }

  private open(event: PagerEvent, nowMs: number): void {
    this.count += 1;
    const number = this.count;
    const id = `Q${number.toString(36).toUpperCase().padStart(13, '0')}`;
    const incident: Incident = {
      id,
      number,
      routingKey: event.routingKey,
      key: event.dedupKey ?? id,
      status: 'triggered',
      title: event.summary,
      severity: event.severity,
      createdAtMs: nowMs,
      changedAtMs: nowMs,
      by: null,
      triggers: 1,
      pagedAtMs: [nowMs],
      payload: event.payload,
      links: event.links,
    };
    this.all.push(incident);
    if (this.all.length > KEPT_MAX) this.all.shift();
    this.changed('triggered', incident);
  }

  private change(incident: Incident, change: IncidentChange, by: string | null, nowMs: number): boolean {
    const isAllowed: Record<IncidentChange, boolean> = {
      triggered: false,
      acknowledged: incident.status === 'triggered',
      unacknowledged: incident.status === 'acknowledged',
      resolved: incident.status !== 'resolved',
    };
    if (!isAllowed[change]) return false;
    incident.status = change === 'unacknowledged' ? 'triggered' : change;
    incident.by = by;
    incident.changedAtMs = nowMs;
    if (change === 'unacknowledged') incident.pagedAtMs.push(nowMs);
    this.changed(change, incident);
    return true;
  }
}
