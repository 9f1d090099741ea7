import type { Database, Queryable } from '../../kernel/database.js';
import type { World } from '../../pipeline/contract.js';
import type { AlertView, ComponentId, IncidentEntry, IncidentState, IncidentUpdate, Severity } from '../contract.js';
import type { OpenIncident } from './cause.js';

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
  /** Whether alerts name its shops; else all are looked at, and no number of them is told. */
  shopsCounted: boolean;
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

export const NO_PROOF: ProofCount = { shops: 0, unproved: 0, left: 0, proofs: [] };

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
  shopsCounted: 'shops_counted',
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

export const SELECT_INCIDENT = `select ${FIELDS.map((field) => `i.${COLUMNS[field]} as "${field}"`).join(', ')}, i.seq::text as seq`;

const INSERT = `
insert into alerting.incident (${FIELDS.map((field) => COLUMNS[field]).join(', ')})
values (${FIELDS.map((_, index) => `$${index + 1}`).join(', ')})`;

const UPDATE = `
update alerting.incident set ${FIELDS.map((field, index) => `${COLUMNS[field]} = $${index + 1}`).join(', ')}
 where id = $${FIELDS.indexOf('id') + 1}`;

/** Locks the row: whoever changes an incident has read it so. */
const LOCK = `${SELECT_INCIDENT} from alerting.incident i where i.id = $1 for update`;

/** Index: incident_unresolved. */
const OPEN = `${SELECT_INCIDENT} from alerting.incident i where i.resolved_at is null order by i.seq`;

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
select incident_id as id, count(*)::integer as shops, count(*) filter (where proved_at is null)::integer as unproved,
       count(*) filter (where proved_at is not null and reconciliation_id is null)::integer as left,
       coalesce(array_agg(reconciliation_id order by reconciliation_id::bigint)
                  filter (where proved_at is not null and reconciliation_id is not null), '{}') as proofs
  from alerting.incident_shop where incident_id = any($1) group by incident_id`;

const MEMBERS = `
select alert_id::text as "alertId", incident_id as "incidentId", closed_at as "closedAt"
  from alerting.incident_alert where alert_id = any($1::bigint[])`;

/** Of a whole round at once: a storm of thousands costs as many statements as a single alert. */
const JOIN = `
insert into alerting.incident_alert
  (alert_id, incident_id, name, dedupe_key, severity, summary, evidence, runbook, shop, destination, acknowledged_by, joined_at)
select alert_id, incident_id, name, dedupe_key, severity, summary, evidence, runbook, shop, destination, acknowledged_by, at
  from jsonb_to_recordset($1::jsonb) as i (
    alert_id bigint, incident_id text, name text, dedupe_key text, severity smallint, summary text, evidence text,
    runbook text, shop text, destination text, acknowledged_by text, at timestamptz)`;

const REFRESH_ALERTS = `
update alerting.incident_alert a
   set severity = i.severity, summary = i.summary, acknowledged_by = i.acknowledged_by, closed_at = i.closed_at,
       evidence = i.evidence
  from jsonb_to_recordset($1::jsonb) as i (
    alert_id bigint, severity smallint, summary text, acknowledged_by text, closed_at timestamptz, evidence text)
 where a.alert_id = i.alert_id`;

const ALERT_STAKES = `
select min(severity)::integer as worst,
       count(distinct shop) filter (where name = 'subscription-removed')::integer as "removedShops"
  from alerting.incident_alert where incident_id = $1`;

/** In their order: ids are given as the rows come. */
const APPEND_ENTRIES = `
insert into alerting.incident_event (incident_id, at, kind, actor, text, evidence)
select incident_id, at, kind, actor, text, evidence
  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[]) with ordinality
    as i (incident_id, at, kind, actor, text, evidence, place)
 order by place`;

const APPEND_UPDATE = `
insert into alerting.incident_update (incident_id, at, state, body, actor, next_update_at)
values ($1, $2, $3, $4, $5, $6)`;

const CURSOR = `select seq::text as seq from alerting.cursor where name = $1`;
const ADD_CURSOR = `insert into alerting.cursor (name, seq) values ($1, 0) on conflict do nothing`;
/** Whoever reads on holds the row to the end of the transaction that writes what it read. */
const LOCK_CURSOR = `${CURSOR} for update skip locked`;
const MOVE_CURSOR = `update alerting.cursor set seq = $2 where name = $1`;

/** A row as the driver has it. */
export type Row<T> = T & Record<string, unknown>;

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
    const [row] = await this.database.rows<Row<Incident>>(
      `${SELECT_INCIDENT} from alerting.incident i where i.id = $1`,
      [id],
    );
    return row ?? null;
  }

  async shops(id: string): Promise<string[]> {
    return (await this.shopsOf([id])).get(id) ?? [];
  }

  /** By incident. */
  async shopsOf(ids: readonly string[]): Promise<Map<string, string[]>> {
    const rows = await this.database.rows<{ id: string; shop: string }>(`${SHOPS_OF} order by shop`, [ids]);
    const byId = Map.groupBy(rows, ({ id }) => id);
    return new Map([...byId].map(([id, of]) => [id, of.map(({ shop }) => shop)]));
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
    return (await this.proofsOf(client, [id])).get(id) ?? NO_PROOF;
  }

  /** By incident; one without a shop is not in it. */
  async proofsOf(client: Queryable, ids: readonly string[]): Promise<Map<string, ProofCount>> {
    const { rows } = await client.query<Row<ProofCount & { id: string }>>(COUNT_PROOFS, [ids]);
    return new Map(rows.map(({ id, ...count }) => [id, count]));
  }

  /** Which of the alerts are in which incident. */
  async members(client: Queryable, alertIds: readonly string[]): Promise<Map<string, Member>> {
    const { rows } = await client.query<Row<Member & { alertId: string }>>(MEMBERS, [alertIds]);
    return new Map(rows.map(({ alertId, incidentId, closedAt }) => [alertId, { incidentId, closedAt }]));
  }

  async join(client: Queryable, joins: readonly AlertJoin[]): Promise<void> {
    if (joins.length === 0) return;
    const rows = joins.map(({ incidentId, alert, at }) => ({
      ...rowOf(alert),
      incident_id: incidentId,
      name: alert.name,
      dedupe_key: alert.dedupeKey,
      runbook: alert.runbook,
      shop: alert.shop,
      destination: alert.destination,
      at,
    }));
    await client.query(JOIN, [JSON.stringify(rows)]);
  }

  /** What alerts say last. Each alert at most once. */
  async refreshAlerts(client: Queryable, alerts: readonly { alert: AlertView; closedAt: Date | null }[]) {
    if (alerts.length === 0) return;
    const rows = alerts.map(({ alert, closedAt }) => ({ ...rowOf(alert), closed_at: closedAt }));
    await client.query(REFRESH_ALERTS, [JSON.stringify(rows)]);
  }

  /** The worst that its alerts have said last, and in how many shops a subscription was removed. */
  async alertStakes(client: Queryable, id: string): Promise<AlertStakes> {
    const { rows } = await client.query<Row<AlertStakes>>(ALERT_STAKES, [id]);
    return rows[0] ?? { worst: null, removedShops: 0 };
  }

  append(client: Queryable, incidentId: string, entry: Omit<IncidentEntry, 'id'>): Promise<void> {
    return this.appendAll(client, [{ ...entry, incidentId }]);
  }

  async appendAll(client: Queryable, entries: readonly NewEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await client.query(APPEND_ENTRIES, [
      entries.map(({ incidentId }) => incidentId),
      entries.map(({ at }) => at),
      entries.map(({ kind }) => kind),
      entries.map(({ actor }) => actor),
      entries.map(({ text }) => text),
      entries.map(({ evidence }) => evidence),
    ]);
  }

  async tell(client: Queryable, id: string, update: Omit<IncidentUpdate, 'id'>): Promise<void> {
    const { at, state, body, actor, nextUpdateAt } = update;
    await client.query(APPEND_UPDATE, [id, at, state, body, actor, nextUpdateAt]);
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
}

export interface AlertStakes {
  /** `null` = it has no alert. */
  worst: Severity | null;
  removedShops: number;
}

/** What both statements write of an alert, by column. */
function rowOf({ id, severity, summary, evidence, acknowledged }: AlertView) {
  return { alert_id: id, severity, summary, evidence, acknowledged_by: acknowledged?.by ?? null };
}

/** An alert that joins an incident. */
export interface AlertJoin {
  incidentId: string;
  alert: AlertView;
  at: Date;
}

export type NewEntry = Omit<IncidentEntry, 'id'> & { incidentId: string };

export interface Member {
  incidentId: string;
  closedAt: Date | null;
}
