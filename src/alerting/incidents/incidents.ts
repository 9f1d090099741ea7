import { recordAudit } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import type { Logger } from '../../kernel/log.js';
import type { Ids } from '../../kernel/random.js';
import type { ReconciliationDesk, ThroughputReader } from '../../monitoring/contract.js';
import type { PipelineReader, RegistryReader, World } from '../../pipeline/contract.js';
import type {
  AlertReader,
  ComponentId,
  IncidentAlert,
  IncidentDesk,
  IncidentEntry,
  IncidentState,
  IncidentUpdate,
  IncidentView,
  Severity,
} from '../contract.js';
import { Course } from './course.js';
import { FigureReader } from './figures.js';
import { gateOf } from './gate.js';
import { IncidentFollower } from './incident-follower.js';
import { IncidentQuery } from './incident-query.js';
import { IncidentStore, type Incident } from './incident-store.js';
import { IncidentWatch } from './incident-watch.js';

export interface IncidentsDeps {
  database: Database;
  alerts: Pick<AlertReader, 'changes' | 'signalsOf'>;
  reconciliation: ReconciliationDesk;
  throughput: ThroughputReader;
  pipeline: Pick<PipelineReader, 'lanes'>;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  clock: Clock;
  ids: Ids;
  log: Logger;
}

type Changed = { incident: IncidentView } | { refused: string } | null;

/** Incidents, wired: what follows alerts, what looks at the orders behind them, and what people do. */
export class Incidents implements IncidentDesk {
  private readonly store: IncidentStore;
  private readonly query: IncidentQuery;
  private readonly course: Course;
  private readonly follower: IncidentFollower;
  private readonly watch: IncidentWatch;

  constructor(private readonly deps: IncidentsDeps) {
    this.store = new IncidentStore(deps.database);
    this.query = new IncidentQuery(deps.database, this.store);
    const shared = { ...deps, store: this.store };
    this.course = new Course(shared);
    this.follower = new IncidentFollower({ ...shared, course: this.course });
    this.watch = new IncidentWatch({ ...shared, course: this.course, figures: new FigureReader(deps) });
  }

  /** In any number of processes: the cursor's lock, and who claims a look, keep them apart. */
  duties(): Duty[] {
    return [
      { name: 'incidents', pauseMs: 1_000, round: () => this.follower.round() },
      // A look asks for the figures of every shop of an incident, and for up to twenty runs.
      { name: 'incident-watch', pauseMs: 2_000, staleAfterMs: 180_000, round: () => this.watch.round() },
    ];
  }

  async incidents(
    filter: { state?: IncidentState | 'open' | 'all'; world?: World },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: IncidentView[]; nextCursor: string | null }> {
    const { items, nextCursor } = await this.query.list(filter, page);
    return { items: await this.query.views(items, this.deps.clock.nowMs()), nextCursor };
  }

  async incident(id: string): Promise<IncidentView | null> {
    const incident = await this.store.incident(id);
    return incident && this.viewOf(incident);
  }

  timeline(id: string): Promise<IncidentEntry[]> {
    return this.query.timeline(id);
  }

  updates(id: string): Promise<IncidentUpdate[]> {
    return this.query.updates(id);
  }

  updatesOf(ids: readonly string[]): Promise<ReadonlyMap<string, IncidentUpdate[]>> {
    return this.query.updatesOf(ids);
  }

  alertsOf(id: string): Promise<IncidentAlert[]> {
    return this.query.alertsOf(id);
  }

  async declare(given: {
    title: string;
    severity: Severity;
    components: readonly ComponentId[];
    shops: readonly string[];
    touchesOrders: boolean;
    world: World;
    actor: string;
  }): ReturnType<IncidentDesk['declare']> {
    const { actor, shops: named, ...rest } = given;
    const ofWorld = this.deps.registry.shops().filter(({ world }) => world === given.world);
    // A shop that nobody knows could never be compared, and would look as if nothing were to be.
    const known = new Set(ofWorld.map(({ domain }) => domain));
    const unknownShops = named.filter((domain) => !known.has(domain));
    if (unknownShops.length > 0) return { unknownShops };
    const connected = ofWorld.flatMap(({ domain, uninstalledAt }) => (uninstalledAt === null ? [domain] : []));
    // Nobody was named, and orders may be missing: anybody's may.
    const shops = named.length === 0 && given.touchesOrders ? connected : named;
    const at = this.deps.clock.now();
    const incident = await this.deps.database.transaction(async (client) => {
      const begun = await this.course.begin(client, {
        ...rest,
        cause: 'declared',
        shopsCounted: named.length > 0,
        severityReason: `said by ${actor}`,
        startedAt: at,
        declaredAt: at,
        declaredBy: actor,
        text: given.title,
        evidence: null,
      });
      await this.store.addShops(client, begun.id, shops);
      await this.course.tell(client, begun, { kind: 'declared' }, shops.length);
      await this.store.save(client, begun);
      await this.audit(client, begun.id, 'declare', actor, { severity: given.severity });
      return begun;
    });
    return { incident: await this.viewOf(incident) };
  }

  async note(id: string, text: string, actor: string): Promise<IncidentView | null> {
    const at = this.deps.clock.now();
    const changed = await this.change(id, async (client, incident) => {
      await this.store.append(client, incident.id, { at, kind: 'note', actor, text, evidence: null });
      await this.audit(client, id, 'note', actor);
      return null;
    });
    return changed !== null && 'incident' in changed ? changed.incident : null;
  }

  update(id: string, state: IncidentState, body: string, actor: string): Promise<Changed> {
    return this.change(id, async (client, incident) => {
      const refused = refusalOf(incident, state);
      if (refused !== null) return refused;
      const at = this.deps.clock.now();
      if (state === 'monitoring' && incident.mitigatedAt === null) {
        await this.course.mitigate(client, incident, at, actor, `said by ${actor}`);
      } else if (state !== 'monitoring' && state !== 'resolved' && incident.mitigatedAt !== null) {
        await this.course.goOn(client, incident, at, actor, `said by ${actor}`);
      }
      incident.state = state;
      const nextUpdateAt = state === 'resolved' ? null : this.course.nextUpdateAt(incident);
      await this.course.publish(client, incident, state, body, nextUpdateAt, actor);
      await this.audit(client, id, 'update', actor, { state });
      return null;
    });
  }

  raise(id: string, severity: Severity, reason: string, actor: string): Promise<Changed> {
    return this.change(id, async (client, incident) => {
      if (incident.resolvedAt !== null) return 'it is resolved; what was worse than it looked is for the review';
      if (severity >= incident.severity) {
        return `it is of severity ${incident.severity} already, and a severity is only ever raised`;
      }
      await this.course.worsen(client, incident, severity, reason, actor);
      await this.audit(client, id, 'raise', actor, { severity });
      return null;
    });
  }

  async resolve(id: string, actor: string): Promise<Changed> {
    // What is missing may have come to be there since the last look.
    await this.watch.look(id);
    return this.change(id, async (client, incident) => {
      if (incident.resolvedAt !== null) return null;
      const { gate, proof } = await this.gate(client, incident);
      if (gate.length > 0) return gate.join('; ');
      await this.course.resolve(client, incident, proof, actor);
      await this.audit(client, id, 'resolve', actor);
      return null;
    });
  }

  /** In the transaction of what it tells of: what is done is in the log, and what is not in the log is not done. */
  private audit(
    client: Queryable,
    id: string,
    what: 'declare' | 'note' | 'update' | 'raise' | 'resolve',
    actor: string,
    detail: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    return recordAudit(client, this.deps.clock, { actor, action: `incident.${what}`, subject: id, detail });
  }

  private async gate(client: Queryable, incident: Incident) {
    const proof = await this.store.proofs(client, incident.id);
    const waiting = await this.store.unproved(incident.id, 6);
    const gate = gateOf(
      {
        ...incident,
        shops: proof.shops,
        unproved: proof.unproved,
        waiting: waiting.map(({ shop, detail }) => ({ shop, missing: detail })),
        open: incident.ordersLost - incident.ordersUnrecoverable,
      },
      this.deps.clock.nowMs(),
    );
    return { gate, proof };
  }

  /** @param work returns why it is refused, before it has written anything */
  private async change(
    id: string,
    work: (client: Queryable, incident: Incident) => Promise<string | null>,
  ): Promise<Changed> {
    const outcome = await this.deps.database.transaction(async (client) => {
      const incident = await this.store.lock(client, id);
      if (incident === null) return null;
      const refused = await work(client, incident);
      if (refused === null) await this.store.save(client, incident);
      return { incident, refused };
    });
    if (outcome === null) return null;
    if (outcome.refused !== null) return { refused: outcome.refused };
    return { incident: await this.viewOf(outcome.incident) };
  }

  private async viewOf(incident: Incident): Promise<IncidentView> {
    const [view] = await this.query.views([incident], this.deps.clock.nowMs());
    if (view === undefined) throw new Error(`incident ${incident.id} has no view`);
    return view;
  }
}

/** What a public update may not say: people may worsen and explain, and never make it look better than it is. */
function refusalOf(incident: Incident, state: IncidentState): string | null {
  if (incident.resolvedAt !== null) {
    return state === 'resolved' ? null : 'it is resolved; what comes back is another incident';
  }
  if (state === 'resolved') return 'it is not resolved; resolve it first';
  if (state === 'monitoring' && incident.alertsOpen > 0) {
    return incident.alertsOpen === 1 ? '1 of its alerts is open' : `${incident.alertsOpen} of its alerts are open`;
  }
  return null;
}
