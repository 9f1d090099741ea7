import type { Clock } from '../../kernel/clock.js';
import type { Queryable } from '../../kernel/database.js';
import type { Ids } from '../../kernel/random.js';
import type { World } from '../../pipeline/contract.js';
import type { ComponentId, IncidentState, Severity } from '../contract.js';
import type { Incident, IncidentStore, ProofCount } from './incident-store.js';
import { bodyOf, isPublic, nextUpdateAfterMs, stateAfter, type News, type Told } from './public-words.js';
import { severityOf, type Stakes } from './severity.js';

/** What an incident begins with. */
export interface Beginning {
  world: World;
  title: string;
  cause: string;
  severity: Severity;
  severityReason: string;
  components: readonly ComponentId[];
  touchesOrders: boolean;
  shopsCounted: boolean;
  startedAt: Date;
  declaredAt: Date;
  declaredBy: string | null;
  text: string;
  evidence: string | null;
}

/**
 * What can become of an incident. Each step changes the incident that is given, and appends to its timeline; whoever takes
 * it has locked the row, and saves it afterwards in the same transaction. So an entry and what it tells of commit together.
 */
export class Course {
  constructor(private readonly deps: { store: IncidentStore; clock: Clock; ids: Ids }) {}

  async begin(client: Queryable, beginning: Beginning): Promise<Incident> {
    const { text, evidence, ...given } = beginning;
    const incident: Incident = {
      ...given,
      id: this.deps.ids.uuid().replaceAll('-', '').slice(0, 12),
      state: stateAfter(given.cause, 'going-on'),
      isPublic: false,
      ordersLost: 0,
      ordersUnrecoverable: 0,
      ordersRecovered: 0,
      ordersLate: 0,
      ordersQueued: 0,
      lossGrewAt: null,
      recoveredTold: 0,
      shopsTold: 0,
      toldAt: null,
      joinedAt: given.declaredAt,
      mitigatedAt: null,
      resolvedAt: null,
      nextUpdateAt: null,
      lookAt: this.deps.clock.now(),
      alertsOpen: 0,
    };
    await this.deps.store.insert(client, incident);
    const { declaredAt: at, declaredBy: actor } = given;
    await this.deps.store.append(client, incident.id, { at, kind: 'declared', actor, text, evidence });
    return incident;
  }

  async mitigate(client: Queryable, incident: Incident, at: Date, actor: string | null, why: string): Promise<void> {
    incident.mitigatedAt = at;
    incident.lookAt = this.deps.clock.now();
    await this.deps.store.forgetProofs(client, incident.id);
    await this.enter(client, incident, stateAfter(incident.cause, 'mitigated'), at, actor, `Mitigated: ${why}`);
  }

  /** It was not over, or is more than was thought. What was compared since mitigation proves nothing any more. */
  async goOn(client: Queryable, incident: Incident, at: Date, actor: string | null, why: string): Promise<void> {
    incident.mitigatedAt = null;
    await this.deps.store.forgetProofs(client, incident.id);
    await this.enter(client, incident, stateAfter(incident.cause, 'going-on'), at, actor, `It goes on: ${why}`);
  }

  async enter(
    client: Queryable,
    incident: Incident,
    state: IncidentState,
    at: Date,
    actor: string | null,
    text: string,
  ): Promise<void> {
    incident.state = state;
    await this.deps.store.append(client, incident.id, { at, kind: 'state', actor, text, evidence: null });
  }

  /** Computes the severity anew; it only ever gets worse. */
  async judge(client: Queryable, incident: Incident, stakes: Stakes): Promise<void> {
    const { severity, reason } = severityOf({ severity: incident.severity, reason: incident.severityReason }, stakes);
    if (severity < incident.severity) await this.worsen(client, incident, severity, reason, null);
  }

  async worsen(
    client: Queryable,
    incident: Incident,
    severity: Severity,
    reason: string,
    actor: string | null,
  ): Promise<void> {
    const { store, clock } = this.deps;
    const text = `Severity ${incident.severity} raised to ${severity}: ${reason}`;
    incident.severity = severity;
    incident.severityReason = reason;
    // A worse one is told more often: what was promised before may be too late.
    if (incident.nextUpdateAt !== null) {
      const promisedMs = Math.min(incident.nextUpdateAt.getTime(), this.nextUpdateAt(incident).getTime());
      incident.nextUpdateAt = new Date(promisedMs);
    }
    const at = clock.now();
    await store.append(client, incident.id, { at, kind: 'severity-raised', actor, text, evidence: null });
  }

  /** Over. Whoever calls has found its gate open, under the lock. */
  async resolve(client: Queryable, incident: Incident, proof: ProofCount, actor: string | null): Promise<void> {
    const { store, clock } = this.deps;
    const at = clock.now();
    incident.state = 'resolved';
    incident.resolvedAt = at;
    await this.tell(client, incident, { kind: 'resolved', proofs: proof.proofs, notCompared: proof.left }, proof.shops);
    const lost = incident.ordersUnrecoverable;
    const loss = lost > 0 ? `orders lost: ${lost}` : 'no order lost';
    const runs = proof.proofs.length > 0 ? `; proved by ${runsOf(proof.proofs)}` : '';
    await store.append(client, incident.id, {
      at,
      kind: 'resolved',
      actor,
      text: `Resolved: ${incident.touchesOrders ? loss : 'it touched no orders'}${runs}`,
      evidence: proof.proofs[0] === undefined ? null : `/api/v1/reconciliations/${proof.proofs[0]}`,
    });
  }

  /** Writes a public update by itself, when the incident is, or by now has become, one for the public. */
  async tell(client: Queryable, incident: Incident, news: News, shopCount: number): Promise<void> {
    const shops = incident.shopsCounted ? shopCount : 0;
    const told: Told = {
      cause: incident.cause,
      severity: incident.severity,
      touchesOrders: incident.touchesOrders,
      shops,
      lost: incident.ordersLost,
      unrecoverable: incident.ordersUnrecoverable,
      recovered: incident.ordersRecovered,
      late: incident.ordersLate,
      queued: incident.ordersQueued,
      declaredAt: incident.declaredAt,
    };
    incident.isPublic ||= isPublic(told);
    if (!incident.isPublic) return;
    const at = this.deps.clock.now();
    const nextUpdateAt = news.kind === 'resolved' ? null : this.nextUpdateAt(incident);
    // Told as it began, although it is over by now: its end is told next.
    const isBegun = news.kind === 'declared' || news.kind === 'reopened';
    const state = isBegun && incident.state === 'monitoring' ? stateAfter(incident.cause, 'going-on') : incident.state;
    await this.publish(client, incident, state, bodyOf(news, told, at, nextUpdateAt), nextUpdateAt, null);
    incident.shopsTold = shops;
  }

  /** @param actor `null` = Plumbline wrote it */
  async publish(
    client: Queryable,
    incident: Incident,
    state: IncidentState,
    body: string,
    nextUpdateAt: Date | null,
    actor: string | null,
  ): Promise<void> {
    const { store, clock } = this.deps;
    const at = clock.now();
    incident.isPublic = true;
    incident.nextUpdateAt = nextUpdateAt;
    incident.toldAt = at;
    await store.tell(client, incident.id, { at, state, body, actor, nextUpdateAt });
    await store.append(client, incident.id, { at, kind: 'public-update', actor, text: body, evidence: null });
  }

  nextUpdateAt({ severity, declaredAt }: Pick<Incident, 'severity' | 'declaredAt'>): Date {
    const nowMs = this.deps.clock.nowMs();
    return new Date(nowMs + nextUpdateAfterMs(severity, nowMs - declaredAt.getTime()));
  }
}

const RUNS_NAMED_MAX = 10;

function runsOf(ids: readonly string[]): string {
  const distinct = [...new Set(ids)];
  const named = distinct.slice(0, RUNS_NAMED_MAX).join(', ');
  const more = distinct.length - RUNS_NAMED_MAX;
  return `${distinct.length === 1 ? 'reconciliation' : 'reconciliations'} ${named}${more > 0 ? ` and ${more} more` : ''}`;
}
