import { describe, expect, it } from 'vitest';
import type { ComponentId, IncidentView } from '../../src/alerting/contract.js';
import { JUDGES, SIGNAL_KINDS, type SignalKind } from '../../src/monitoring/contract.js';
import { composeComponents, LOOK_LIMIT_MS, type Facts } from '../../src/status-page/compose.js';
import { fleetProof, PROOF_LIMIT_MS } from '../../src/status-page/fleet-proof.js';
import { dutiesBehind, troublesOfIncidents, troublesOfSignals } from '../../src/status-page/troubles.js';
import { destination, DUTIES, HOUR_MS, incident, MINUTE_MS, NOON_MS, shop } from './page-rig.js';

const TWENTY = Array.from({ length: 20 }, (_, index) => `store-${index}.myshopify.com`);
const FLEET = {
  shops: TWENTY.map((domain, index) => shop(index + 1, domain)),
  destinations: [1, 2, 3, 4].map((id) => destination(id, `ga4-${id}`, 'ga4')),
};

interface Said {
  kind: SignalKind;
  shops?: number;
  facts?: Record<string, unknown>;
  destinations?: number;
}

function signals({ kind, shops = 1, facts = {}, destinations = 0 }: Said) {
  if (destinations > 0) {
    return Array.from({ length: destinations }, (_, index) => ({
      kind,
      shop: null,
      destination: `ga4-${index + 1}`,
      facts,
    }));
  }
  return TWENTY.slice(0, shops).map((domain) => ({ kind, shop: domain, destination: 'ga4-1', facts }));
}

const shownOf = (said: Said): string[] =>
  [...troublesOfSignals(signals(said), FLEET)].map(
    ([id, troubles]) => `${id} ${troubles.map(({ state }) => state).join()}`,
  );

describe('what a signal means to the public', () => {
  it.each<[string, Said, string[]]>([
    [
      'an order of one of twenty stores is missing',
      { kind: 'order-missing', facts: { orders: 1, stages: ['received'] } },
      ['delivery:ga4 degraded_performance'],
    ],
    [
      'one that was never taken in',
      { kind: 'order-missing', facts: { orders: 1, stages: ['logged'] } },
      ['intake degraded_performance', 'delivery:ga4 degraded_performance'],
    ],
    [
      'one that was never routed',
      { kind: 'order-missing', facts: { orders: 1, stages: ['processed'] } },
      ['processing degraded_performance', 'delivery:ga4 degraded_performance'],
    ],
    [
      'orders of a quarter of the stores are missing',
      { kind: 'order-missing', shops: 5, facts: { orders: 3 } },
      ['delivery:ga4 partial_outage'],
    ],
    [
      'orders of nearly all stores are missing',
      { kind: 'order-missing', shops: 18, facts: { orders: 3 } },
      ['delivery:ga4 major_outage'],
    ],
    ['a subscription of one store is removed', { kind: 'subscription-removed' }, ['intake degraded_performance']],
    [
      'subscriptions of half of the stores are removed',
      { kind: 'subscription-removed', shops: 10 },
      ['intake partial_outage'],
    ],
    ['subscriptions of all are removed', { kind: 'subscription-removed', shops: 20 }, ['intake major_outage']],
    [
      'all of them are back and not proved',
      { kind: 'subscription-removed', shops: 20, facts: { recreatedAt: '2026-11-23T12:00:00Z' } },
      ['intake degraded_performance'],
    ],
    [
      'a filter swallows events',
      { kind: 'subscription-wrong', facts: { findings: [{ kind: 'filter' }] } },
      ['intake degraded_performance'],
    ],
    [
      'a subscription has another version',
      { kind: 'subscription-wrong', facts: { findings: [{ kind: 'wrong-version' }] } },
      [],
    ],
    ['three failures in a row', { kind: 'subscription-countdown', facts: { failuresInRow: 3 } }, []],
    [
      'four failures in a row',
      { kind: 'subscription-countdown', facts: { failuresInRow: 4 } },
      ['intake degraded_performance'],
    ],
    ['subscriptions cannot be looked at', { kind: 'subscription-unknown', shops: 20 }, []],
    ['one store is silent', { kind: 'store-silent' }, []],
    ['a quarter of the stores is silent', { kind: 'store-silent', shops: 5 }, ['intake degraded_performance']],
    ['nearly all stores are silent', { kind: 'store-silent', shops: 19 }, ['intake partial_outage']],
    ['a store is not compared', { kind: 'reconciliation-stale' }, ['reconciliation degraded_performance']],
    ['a comparison is not whole', { kind: 'reconciliation-partial' }, ['reconciliation degraded_performance']],
    ['nobody can read a mail', { kind: 'notice-unclassified' }, []],
    [
      'one of four destinations refuses',
      { kind: 'destination-refusing', destinations: 1 },
      ['delivery:ga4 partial_outage'],
    ],
    [
      'all destinations of a kind refuse',
      { kind: 'destination-refusing', destinations: 4 },
      ['delivery:ga4 major_outage'],
    ],
    [
      'dead letters of ours grow',
      { kind: 'dead-letters-growing', facts: { lane: 'ours' } },
      ['processing degraded_performance'],
    ],
    ['dead letters of theirs grow', { kind: 'dead-letters-growing', facts: { lane: 'theirs' } }, []],
    [
      'a destination rejects its credentials',
      { kind: 'destination-refusing', destinations: 4, facts: { trouble: 'credentials rejected' } },
      [],
    ],
    [
      'a kind of destination is out',
      { kind: 'destination-outage', facts: { destinationKind: 'ga4' } },
      ['delivery:ga4 major_outage'],
    ],
    ['a ticket of the budget', { kind: 'slo-burn', facts: { class: 'ticket' } }, []],
    ['a page of the budget', { kind: 'slo-burn', facts: { class: 'page' } }, ['processing degraded_performance']],
    ['orders are late', { kind: 'orders-late' }, ['processing degraded_performance']],
    ['intake may be slow tomorrow', { kind: 'intake-slow', facts: { grade: 'creeping' } }, []],
    ['intake is slow', { kind: 'intake-slow', facts: { grade: 'near-limit' } }, ['intake degraded_performance']],
    ['intake fails', { kind: 'intake-failing' }, ['intake partial_outage']],
    ['signatures fail', { kind: 'signature-failures' }, ['intake degraded_performance']],
    ['the queue is old', { kind: 'queue-old' }, ['processing degraded_performance']],
    [
      'intake processes are missing',
      { kind: 'workers-missing', facts: { roles: ['intake', 'web'] } },
      ['intake degraded_performance'],
    ],
    [
      'workers are missing',
      { kind: 'workers-missing', facts: { roles: ['worker'] } },
      ['processing degraded_performance'],
    ],
    ['the pager fails', { kind: 'notifier-failing' }, []],
    ['stored webhooks are gone', { kind: 'inbox-gap' }, ['intake partial_outage']],
  ])('%s', (_when, said, shown) => {
    expect(shownOf(said)).toEqual(shown);
    // What could say so must be at work wherever nothing is said.
    for (const each of shown) {
      expect(dutiesBehind(each.split(' ')[0] as ComponentId)).toContain(JUDGES[said.kind]);
    }
  });

  it('counts on the duty that looks for it, wherever it shows, whatever its facts', () => {
    const facts = [
      {
        orders: 1,
        stages: ['logged', 'processed'],
        lane: 'ours',
        class: 'page',
        failuresInRow: 8,
        destinationKind: 'ga4',
      },
      { roles: ['intake'], findings: [{ kind: 'filter' }], grade: 'near-limit' },
      { roles: ['worker'] },
    ];
    for (const kind of SIGNAL_KINDS) {
      for (const given of facts) {
        for (const destination of ['ga4-1', 'nobody', null]) {
          const said = [...signals({ kind, shops: 20, facts: given })].map((each) => ({ ...each, destination }));
          for (const component of troublesOfSignals(said, FLEET).keys()) {
            expect(dutiesBehind(component), `${kind} at ${component}`).toContain(JUDGES[kind]);
          }
        }
      }
    }
  });

  it.each<[ComponentId, string[]]>([
    [
      'intake',
      [
        'intake-watch',
        'process-watch',
        'reconciliation-signals',
        'silence',
        'subscription-audit',
        'subscription-countdown',
      ],
    ],
    [
      'processing',
      ['dead-letter-watch', 'destination-watch', 'process-watch', 'queue-watch', 'reconciliation-signals', 'slo'],
    ],
    ['delivery:ga4', ['destination-watch', 'reconciliation-signals']],
    ['reconciliation', ['proof-watch', 'reconciliation', 'reconciliation-signals']],
  ])('%s is unknown as soon as one of its duties is not done', (id, duties) => {
    expect([...dutiesBehind(id)].sort()).toEqual(duties);
    const at = (nowMs: number, stalled: string | null) => {
      const facts: Facts = {
        nowMs,
        world: 'real',
        shops: FLEET.shops,
        destinations: FLEET.destinations,
        signals: [],
        comparedUntilMs: new Map(TWENTY.map((domain) => [domain, nowMs])),
        heartbeats: DUTIES.map((name) => ({ name, beatAt: new Date(name === stalled ? NOON_MS : nowMs) })),
        incidents: [],
        isCut: false,
      };
      return composeComponents(facts)
        .find((each) => each.id === id)
        ?.troubles.map(({ state }) => state);
    };
    expect(at(NOON_MS + LOOK_LIMIT_MS + 1, null)).toEqual([]);
    for (const duty of duties) {
      expect(at(NOON_MS + LOOK_LIMIT_MS, duty)).toEqual([]);
      expect(at(NOON_MS + LOOK_LIMIT_MS + 1, duty), duty).toEqual(['unknown']);
    }
  });

  it('says so in words that name no store and no order', () => {
    const facts = {
      orders: 3,
      givenUp: 1,
      stages: ['logged'],
      sample: ['6001'],
      findings: [{ kind: 'filter' }],
      lane: 'ours',
      failuresInRow: 6,
    };
    for (const kind of SIGNAL_KINDS) {
      for (const troubles of troublesOfSignals(signals({ kind, shops: 2, facts }), FLEET).values()) {
        for (const { words } of troubles) {
          expect(words).toMatch(/\.$/);
          expect(words).not.toMatch(/myshopify|store-\d|ga4-|6001/);
        }
      }
    }
  });

  it('counts the orders that no machine can bring in', () => {
    const [troubles] = troublesOfSignals(
      signals({ kind: 'order-missing', shops: 2, facts: { orders: 3, givenUp: 1 } }),
      FLEET,
    ).values();
    expect(troubles?.[0]?.words).toBe(
      '6 orders of 2 of 20 stores did not arrive. 2 of them cannot be brought in without a person.',
    );
  });
});

describe('what an incident means to the public', () => {
  const shops = (count: number) => TWENTY.slice(0, count);
  it.each<[string, Partial<IncidentView>, string | undefined]>([
    ['severity 1 over all stores', { severity: 1, shops: [] }, 'major_outage'],
    ['severity 1 of one store of twenty', { severity: 1, shops: shops(1) }, 'partial_outage'],
    ['severity 2 of a quarter', { severity: 2, shops: shops(5) }, 'partial_outage'],
    ['severity 2 of one store of twenty', { severity: 2, shops: shops(1) }, 'degraded_performance'],
    ['severity 3 of all', { severity: 3, shops: [] }, 'degraded_performance'],
    ['mitigated, not resolved', { severity: 1, shops: [], mitigatedAt: new Date(NOON_MS) }, 'degraded_performance'],
    ['resolved', { severity: 1, shops: [], state: 'resolved' }, undefined],
  ])('%s', (_when, given, shown) => {
    const troubles = troublesOfIncidents([incident(given)], FLEET, (text) => text);
    expect(troubles.get('intake')?.[0]?.state).toBe(shown);
  });
});

describe('the proof of a fleet', () => {
  const ago = (...minutes: (number | null)[]) => minutes.map((each) => each && NOON_MS - each * MINUTE_MS);

  it('is as old as the store that was compared longest ago', () => {
    expect(fleetProof(ago(3, 40, 17), NOON_MS)).toEqual({
      proof: {
        atMs: NOON_MS - 40 * MINUTE_MS,
        goodUntilMs: NOON_MS - 40 * MINUTE_MS + PROOF_LIMIT_MS,
        by: 'reconciliation of 3 of 3 stores with Shopify',
      },
      stores: 3,
      stale: 0,
    });
  });

  it('is none while a store of a few was never compared', () => {
    expect(fleetProof(ago(3, null), NOON_MS)).toMatchObject({ proof: null, stale: 1 });
  });

  it('is none of no store', () => {
    expect(fleetProof([], NOON_MS)).toEqual({ proof: null, stores: 0, stale: 0 });
  });

  it('leaves out one of twenty, says so, and counts it as stale', () => {
    const proved = fleetProof([...ago(null), ...Array.from({ length: 19 }, () => NOON_MS)], NOON_MS);
    expect(proved).toMatchObject({ stale: 1, proof: { by: 'reconciliation of 19 of 20 stores with Shopify' } });
  });

  it('leaves out no two of twenty', () => {
    expect(fleetProof([...ago(null, null), ...Array.from({ length: 18 }, () => NOON_MS)], NOON_MS).proof).toBeNull();
  });

  it('is told in whole minutes that have passed', () => {
    expect(fleetProof([NOON_MS - 1], NOON_MS).proof?.atMs).toBe(NOON_MS - MINUTE_MS);
    expect(fleetProof([NOON_MS + HOUR_MS], NOON_MS).proof?.atMs).toBe(NOON_MS);
  });
});
