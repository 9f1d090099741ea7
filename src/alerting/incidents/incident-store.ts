import type { Database, Queryable } from '../../kernel/database.js';
import type { World } from '../../pipeline/contract.js';
import type {
  AlertView,
  ComponentId,
  IncidentAlert,
  IncidentEntry,
  IncidentState,
  IncidentUpdate,
  IncidentView,
  Severity,
} from '../contract.js';
import type { OpenIncident } from './cause.js';
import { gateOf } from './gate.js';

/** An incident as it is stored. */
export interface Incident {
  id: string;
  world: World;
  title: string;
  cause: string;
  severity: Severity;
  severityReason: string;
  state: IncidentState;
  components: readonly ComponentId[];
  touchesOrders: boolean;
  isPublic: boolean;
  ordersLost: number;
  ordersUnrecoverable: number;
  ordersRecovered: number;
  ordersLate: number;
  ordersQueued: number;
  lossGrewAt: Date | null;
  /** Of the recovered, how many the timeline has told of. */
  recoveredTold: number;
  /** How many shops the public was told of last. */
  shopsTold: number;
  /** When the public was told last. */
  toldAt: Date | null;
  startedAt: Date;
  declaredAt: Date;
  declaredBy: string | null;
  joinedAt: Date;
  mitigatedAt: Date | null;
  resolvedAt: Date | null;
  nextUpdateAt: Date | null;
  lookAt: Date;
  alertsOpen: number;
}

/** A shop of an incident, and how far its proof is. */
export interface IncidentShop {
  shop: string;
  reconciliationId: string | null;
  askedAt: Date | null;
  provedAt: Date | null;
  detail: string | null;
  /** Its run cannot look, or has come to nothing: it holds up no other shop's. */
  isHindered: boolean;
}

/** How far the proof of an incident is. */
export interface ProofCount {
  shops: number;
  unproved: number;
  /** Proved because nothing can be compared there any more. */
  left: number;
  proofs: string[];
}

const COLUMNS = {
  id: 'id',
  world: 'world',
  title: 'title',
  cause: 'cause',
  severity: 'severity',
  severityReason: 'severity_reason',
  state: 'state',
  components: 'components',
  touchesOrders: 'touches_orders',
  isPublic: 'is_public',
  ordersLost: 'orders_lost',
  ordersUnrecoverable: 'orders_unrecoverable',
  ordersRecovered: 'orders_recovered',
  ordersLate: 'orders_late',
  ordersQueued: 'orders_queued',
  lossGrewAt: 'loss_grew_at',
  recoveredTold: 'recovered_told',
  shopsTold: 'shops_told',
  toldAt: 'told_at',
  startedAt: 'started_at',
  declaredAt: 'declared_at',
  declaredBy: 'declared_by',
  joinedAt: 'joined_at',
  mitigatedAt: 'mitigated_at',
  resolvedAt: 'resolved_at',
  nextUpdateAt: 'next_update_at',
  lookAt: 'look_at',
  alertsOpen: 'alerts_open',
} as const satisfies Record<keyof Incident, string>;
const FIELDS = Object.keys(COLUMNS) as (keyof Incident)[];

const SELECT = `select ${FIELDS.map((field) => `i.${COLUMNS[field]} as "${field}"`).join(', ')}, i.seq::text as seq`;

const INSERT = `
insert into alerting.incident (${FIELDS.map((field) => COLUMNS[field]).join(', ')})
values (${FIELDS.map((_, index) => `$${index + 1}`).join(', ')})`;

const UPDATE = `
update alerting.incident set ${FIELDS.map((field, index) => `${COLUMNS[field]} = $${index + 1}`).join(', ')}
 where id = $${FIELDS.indexOf('id') + 1}`;

/** Locks the row: whoever changes an incident has read it so. */
const LOCK = `${SELECT} from alerting.incident i where i.id = $1 for update`;

/** Index: incident_unresolved. */
const OPEN = `${SELECT} from alerting.incident i where i.resolved_at is null order by i.seq`;

/** Whoever moves `look_at` on has the look: no other process finds it due. Index: incident_unresolved. */
const CLAIM_LOOK = `
update alerting.incident set look_at = $2 where id = (
  select id from alerting.incident where resolved_at is null and look_at <= $1
   order by look_at limit 1 for update skip locked)
returning id`;

const SHOPS_OF = `select incident_id as id, shop from alerting.incident_shop where incident_id = any($1)`;

const ADD_SHOPS = `
insert into alerting.incident_shop (incident_id, shop) select $1, shop from unnest($2::text[]) as shop
on conflict do nothing`;

const FORGET_PROOFS = `
update alerting.incident_shop set reconciliation_id = null, asked_at = null, proved_at = null, detail = null, is_hindered = false, looked_at = null
 where incident_id = $1`;

const SHOP = `shop, reconciliation_id as "reconciliationId", asked_at as "askedAt", proved_at as "provedAt", detail,
       is_hindered as "isHindered"`;

/** Index: incident_shop_unproved. */
const UNPROVED = `
select ${SHOP} from alerting.incident_shop where incident_id = $1 and proved_at is null
 order by asked_at nulls last, shop limit $2`;

/** Index: incident_shop_unproved. */
const UNDER_WAY = `
select ${SHOP} from alerting.incident_shop
 where incident_id = $1 and proved_at is null and reconciliation_id is not null and not is_hindered`;

/** Those that were not looked at for longest. Index: incident_shop_unproved. */
const WAITING = `
select ${SHOP} from alerting.incident_shop
 where incident_id = $1 and proved_at is null and case when $3 then reconciliation_id is null else is_hindered end
 order by looked_at nulls first, shop limit $2`;

const MARK_SHOP = `
update alerting.incident_shop
   set reconciliation_id = $3, asked_at = $4, proved_at = $5, detail = $6, is_hindered = $7, looked_at = $8
 where incident_id = $1 and shop = $2`;

const COUNT_PROOFS = `
select count(*)::integer as shops, count(*) filter (where proved_at is null)::integer as unproved,
       count(*) filter (where proved_at is not null and reconciliation_id is null)::integer as left,
       coalesce(array_agg(reconciliation_id order by reconciliation_id::bigint)
                  filter (where proved_at is not null and reconciliation_id is not null), '{}') as proofs
  from alerting.incident_shop where incident_id = $1`;

const MEMBERS = `
select alert_id::text as "alertId", incident_id as "incidentId", closed_at as "closedAt"
  from alerting.incident_alert where alert_id = any($1::bigint[])`;

const JOIN = `
insert into alerting.incident_alert
  (alert_id, incident_id, name, dedupe_key, severity, summary, evidence, runbook, shop, destination, acknowledged_by, joined_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`;

const REFRESH_ALERT = `
update alerting.incident_alert
   set severity = $2, summary = $3, acknowledged_by = $4, closed_at = $5, evidence = $6 where alert_id = $1`;

const ALERTS = `
select alert_id::text as id, name, dedupe_key as "dedupeKey", severity, summary, evidence, runbook, shop, destination,
       acknowledged_by as "acknowledgedBy", joined_at as "joinedAt", closed_at as "closedAt"
  from alerting.incident_alert where incident_id = $1
 order by (closed_at is null) desc, alert_id desc limit 200`;

const ALERT_STAKES = `
select min(severity)::integer as worst,
       count(distinct shop) filter (where name = 'subscription-removed')::integer as "removedShops",
       coalesce(array_agg(distinct destination) filter (where destination is not null), '{}') as destinations
  from alerting.incident_alert where incident_id = $1`;

const APPEND_ENTRY = `
insert into alerting.incident_event (incident_id, at, kind, actor, text, evidence) values ($1, $2, $3, $4, $5, $6)`;

const TIMELINE = `
select e.id::text as id, at, kind, actor, text, evidence
  from alerting.incident_event e where incident_id = $1 order by e.id`;

const APPEND_UPDATE = `
insert into alerting.incident_update (incident_id, at, state, body, actor, next_update_at)
values ($1, $2, $3, $4, $5, $6)`;

const UPDATES = `
select u.id::text as id, at, state, body, actor, next_update_at as "nextUpdateAt"
  from alerting.incident_update u where incident_id = $1 order by u.id desc`;

const CURSOR = `select seq::text as seq from alerting.cursor where name = $1`;
const ADD_CURSOR = `insert into alerting.cursor (name, seq) values ($1, 0) on conflict do nothing`;
/** Whoever reads on holds the row to the end of the transaction that writes what it read. */
const LOCK_CURSOR = `${CURSOR} for update skip locked`;
const MOVE_CURSOR = `update alerting.cursor set seq = $2 where name = $1`;

type Row<T> = T & Record<string, unknown>;

const valuesOf = (incident: Incident): unknown[] => FIELDS.map((field) => incident[field]);

/** Incidents as they are stored. Methods that change something take the transaction's connection. */
export class IncidentStore {
  constructor(private readonly database: Database) {}

  async insert(client: Queryable, incident: Incident): Promise<void> {
    await client.query(INSERT, valuesOf(incident));
  }

  /** The row must have been locked by `lock` in the same transaction. */
  async save(client: Queryable, incident: Incident): Promise<void> {
    await client.query(UPDATE, valuesOf(incident));
  }

  async lock(client: Queryable, id: string): Promise<Incident | null> {
    const { rows } = await client.query<Row<Incident>>(LOCK, [id]);
    return rows[0] ?? null;
  }

  /** Those that are not resolved, with their shops. */
  async open(client: Queryable): Promise<OpenIncident[]> {
    const { rows } = await client.query<Row<Incident>>(OPEN);
    if (rows.length === 0) return [];
    const shops = await client.query<{ id: string; shop: string }>(SHOPS_OF, [rows.map(({ id }) => id)]);
    const byId = Map.groupBy(shops.rows, ({ id }) => id);
    return rows.map((row) => ({ ...row, shops: new Set((byId.get(row.id) ?? []).map(({ shop }) => shop)) }));
  }

  /** @returns the id of one that is due, which nobody else looks at until `nextLookAt`; `null` = none is due */
  async claimLook(nowAt: Date, nextLookAt: Date): Promise<string | null> {
    const [row] = await this.database.rows<{ id: string }>(CLAIM_LOOK, [nowAt, nextLookAt]);
    return row?.id ?? null;
  }

  async incident(id: string): Promise<Incident | null> {
    const [row] = await this.database.rows<Row<Incident>>(`${SELECT} from alerting.incident i where i.id = $1`, [id]);
    return row ?? null;
  }

  async shops(id: string): Promise<string[]> {
    const rows = await this.database.rows<{ shop: string }>(`${SHOPS_OF} order by shop`, [[id]]);
    return rows.map(({ shop }) => shop);
  }

  async addShops(client: Queryable, id: string, shops: readonly string[]): Promise<void> {
    if (shops.length > 0) await client.query(ADD_SHOPS, [id, shops]);
  }

  async forgetProofs(client: Queryable, id: string): Promise<void> {
    await client.query(FORGET_PROOFS, [id]);
  }

  unproved(id: string, limit: number): Promise<IncidentShop[]> {
    return this.database.rows<Row<IncidentShop>>(UNPROVED, [id, limit]);
  }

  /** Shops whose run gets on. */
  underWay(id: string): Promise<IncidentShop[]> {
    return this.database.rows<Row<IncidentShop>>(UNDER_WAY, [id]);
  }

  /** Shops for which nothing is asked for yet, or whose run does not get on. */
  waiting(id: string, why: 'unasked' | 'hindered', limit: number): Promise<IncidentShop[]> {
    return this.database.rows<Row<IncidentShop>>(WAITING, [id, limit, why === 'unasked']);
  }

  async markShop(client: Queryable, id: string, given: IncidentShop, lookedAt: Date): Promise<void> {
    const { shop, reconciliationId, askedAt, provedAt, detail, isHindered } = given;
    await client.query(MARK_SHOP, [id, shop, reconciliationId, askedAt, provedAt, detail, isHindered, lookedAt]);
  }

  async proofs(client: Queryable, id: string): Promise<ProofCount> {
    const { rows } = await client.query<Row<ProofCount>>(COUNT_PROOFS, [id]);
    return rows[0] ?? { shops: 0, unproved: 0, left: 0, proofs: [] };
  }

  /** Which of the alerts are in which incident. */
  async members(client: Queryable, alertIds: readonly string[]): Promise<Map<string, Member>> {
    const { rows } = await client.query<Row<Member & { alertId: string }>>(MEMBERS, [alertIds]);
    return new Map(rows.map(({ alertId, incidentId, closedAt }) => [alertId, { incidentId, closedAt }]));
  }

  async join(client: Queryable, id: string, alert: AlertView, at: Date): Promise<void> {
    const { name, dedupeKey, severity, summary, evidence, runbook, shop, destination, acknowledged } = alert;
    const by = acknowledged?.by ?? null;
    await client.query(JOIN, [
      alert.id,
      id,
      name,
      dedupeKey,
      severity,
      summary,
      evidence,
      runbook,
      shop,
      destination,
      by,
      at,
    ]);
  }

  async refreshAlert(client: Queryable, alert: AlertView, closedAt: Date | null): Promise<void> {
    const { id, severity, summary, acknowledged, evidence } = alert;
    await client.query(REFRESH_ALERT, [id, severity, summary, acknowledged?.by ?? null, closedAt, evidence]);
  }

  alertsOf(id: string): Promise<IncidentAlert[]> {
    return this.database.rows<Row<IncidentAlert>>(ALERTS, [id]);
  }

  async alertStakes(
    client: Queryable,
    id: string,
  ): Promise<{ worst: Severity | null; removedShops: number; destinations: string[] }> {
    const { rows } = await client.query<{ worst: Severity | null; removedShops: number; destinations: string[] }>(
      ALERT_STAKES,
      [id],
    );
    return rows[0] ?? { worst: null, removedShops: 0, destinations: [] };
  }

  async append(client: Queryable, id: string, entry: Omit<IncidentEntry, 'id'>): Promise<void> {
    await client.query(APPEND_ENTRY, [id, entry.at, entry.kind, entry.actor, entry.text, entry.evidence]);
  }

  async tell(client: Queryable, id: string, update: Omit<IncidentUpdate, 'id'>): Promise<void> {
    const { at, state, body, actor, nextUpdateAt } = update;
    await client.query(APPEND_UPDATE, [id, at, state, body, actor, nextUpdateAt]);
  }

  timeline(id: string): Promise<IncidentEntry[]> {
    return this.database.rows<Row<IncidentEntry>>(TIMELINE, [id]);
  }

  updates(id: string): Promise<IncidentUpdate[]> {
    return this.database.rows<Row<IncidentUpdate>>(UPDATES, [id]);
  }

  async cursor(name: string): Promise<string> {
    const [row] = await this.database.rows<{ seq: string }>(CURSOR, [name]);
    if (row) return row.seq;
    await this.database.query(ADD_CURSOR, [name]);
    return '0';
  }

  /** @returns `null` when another process is reading on */
  async lockCursor(client: Queryable, name: string): Promise<string | null> {
    const { rows } = await client.query<{ seq: string }>(LOCK_CURSOR, [name]);
    return rows[0]?.seq ?? null;
  }

  async moveCursor(client: Queryable, name: string, seq: string): Promise<void> {
    await client.query(MOVE_CURSOR, [name, seq]);
  }

  /** Newest first. */
  async list(
    filter: { state?: IncidentState | 'open' | 'all'; world?: World },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: Incident[]; nextCursor: string | null }> {
    const rows = await this.database.rows<Row<Incident & { seq: string }>>(
      `${SELECT} from alerting.incident i
 where ($1::text is null or i.world = $1) and ($2::bigint is null or i.seq < $2)
   and ($3 = 'all' or i.state = $3 or ($3 = 'open' and i.resolved_at is null))
 order by i.seq desc limit $4`,
      [filter.world ?? null, page.cursor ?? null, filter.state ?? 'all', page.limit + 1],
    );
    const items = rows.slice(0, page.limit);
    return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.seq ?? null) : null };
  }

  async view(incident: Incident, nowMs: number): Promise<IncidentView> {
    const { id, touchesOrders, alertsOpen, mitigatedAt, resolvedAt } = incident;
    const shops = await this.shops(id);
    const { unproved, proofs } = await this.proofs(this.database, id);
    const waiting = mitigatedAt === null || resolvedAt !== null ? [] : await this.unproved(id, 6);
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

export interface Member {
  incidentId: string;
  closedAt: Date | null;
}
