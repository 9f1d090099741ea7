import type { Database } from '../../kernel/database.js';
import type { World } from '../../pipeline/contract.js';
import type { IncidentAlert, IncidentEntry, IncidentState, IncidentUpdate, IncidentView } from '../contract.js';
import { gateOf } from './gate.js';
import {
  NO_PROOF,
  SELECT_INCIDENT,
  type Incident,
  type IncidentStore,
  type ProofCount,
  type Row,
} from './incident-store.js';

/** Of the shops that are not proved, so many are asked for: a gate names fewer. */
const WAITING_MAX = 6;

const ALERTS = `
select alert_id::text as id, name, dedupe_key as "dedupeKey", severity, summary, evidence, runbook, shop, destination,
       acknowledged_by as "acknowledgedBy", joined_at as "joinedAt", closed_at as "closedAt"
  from alerting.incident_alert where incident_id = $1
 order by (closed_at is null) desc, alert_id desc limit 200`;

const TIMELINE = `
select e.id::text as id, at, kind, actor, text, evidence
  from alerting.incident_event e where incident_id = $1 order by e.id`;

const UPDATES = `
select u.incident_id as "incidentId", u.id::text as id, at, state, body, actor, next_update_at as "nextUpdateAt"
  from alerting.incident_update u where incident_id = any($1) order by u.id desc`;

/** Incidents as they are shown. */
export class IncidentQuery {
  constructor(
    private readonly database: Database,
    private readonly store: IncidentStore,
  ) {}

  alertsOf(id: string): Promise<IncidentAlert[]> {
    return this.database.rows<Row<IncidentAlert>>(ALERTS, [id]);
  }

  timeline(id: string): Promise<IncidentEntry[]> {
    return this.database.rows<Row<IncidentEntry>>(TIMELINE, [id]);
  }

  async updates(id: string): Promise<IncidentUpdate[]> {
    return (await this.updatesOf([id])).get(id) ?? [];
  }

  async updatesOf(ids: readonly string[]): Promise<Map<string, IncidentUpdate[]>> {
    const rows = await this.database.rows<Row<IncidentUpdate & { incidentId: string }>>(UPDATES, [ids]);
    const found = new Map<string, IncidentUpdate[]>();
    for (const { incidentId, ...update } of rows) {
      const known = found.get(incidentId);
      if (known) known.push(update);
      else found.set(incidentId, [update]);
    }
    return found;
  }

  /** Newest first. */
  async list(
    filter: { state?: IncidentState | 'open' | 'all'; world?: World },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: Incident[]; nextCursor: string | null }> {
    const rows = await this.database.rows<Row<Incident & { seq: string }>>(
      `${SELECT_INCIDENT} from alerting.incident i
 where ($1::text is null or i.world = $1) and ($2::bigint is null or i.seq < $2)
   and ($3 = 'all' or i.state = $3 or ($3 = 'open' and i.resolved_at is null))
 order by i.seq desc limit $4`,
      [filter.world ?? null, page.cursor ?? null, filter.state ?? 'all', page.limit + 1],
    );
    const items = rows.slice(0, page.limit);
    return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.seq ?? null) : null };
  }

  /** In the same order. A list costs two statements, and one more for each that waits for its proof. */
  async views(incidents: readonly Incident[], nowMs: number): Promise<IncidentView[]> {
    if (incidents.length === 0) return [];
    const ids = incidents.map(({ id }) => id);
    const [shops, proofs] = await Promise.all([this.store.shopsOf(ids), this.store.proofsOf(this.database, ids)]);
    return Promise.all(
      incidents.map((each) => this.view(each, shops.get(each.id) ?? [], proofs.get(each.id) ?? NO_PROOF, nowMs)),
    );
  }

  private async view(
    incident: Incident,
    shops: string[],
    { unproved, proofs }: ProofCount,
    nowMs: number,
  ): Promise<IncidentView> {
    const { id, touchesOrders, alertsOpen, mitigatedAt, resolvedAt } = incident;
    const waiting = mitigatedAt === null || resolvedAt !== null ? [] : await this.store.unproved(id, WAITING_MAX);
    const gate = gateOf(
      {
        touchesOrders,
        alertsOpen,
        mitigatedAt,
        resolvedAt,
        shops: shops.length,
        unproved,
        waiting: waiting.map(({ shop, detail }) => ({ shop, missing: detail })),
        open: incident.ordersLost - incident.ordersUnrecoverable,
      },
      nowMs,
    );
    return {
      id,
      world: incident.world,
      title: incident.title,
      cause: incident.cause,
      severity: incident.severity,
      severityReason: incident.severityReason,
      state: incident.state,
      components: incident.components,
      shops,
      touchesOrders,
      public: incident.isPublic,
      ordersLost: incident.ordersLost,
      ordersUnrecoverable: incident.ordersUnrecoverable,
      ordersLate: incident.ordersLate,
      ordersRecovered: incident.ordersRecovered,
      ordersQueued: incident.ordersQueued,
      alertsOpen,
      startedAt: incident.startedAt,
      declaredAt: incident.declaredAt,
      mitigatedAt,
      resolvedAt,
      gate,
      proofs,
      nextUpdateAt: incident.nextUpdateAt,
    };
  }
}
