import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SIGNAL_KINDS } from '../../src/monitoring/contract.js';
import { composeComponents, type Facts } from '../../src/status-page/compose.js';
import { PUBLIC_STATES, WORSENINGS, type PublicState } from '../../src/status-page/contract.js';
import { PROOF_LIMIT_MS } from '../../src/status-page/fleet-proof.js';
import { headlineOf, PUBLICATION_LIMIT_MS, shownAt } from '../../src/status-page/shown.js';
import type { Snapshot, SnapshotComponent, SnapshotEntry } from '../../src/status-page/snapshot.js';
import { worstOf } from '../../src/status-page/states.js';
import { destination, DOMAINS, DUTIES, incident, MINUTE_MS, NOON_MS, shop } from './page-rig.js';

const PROOF = { atMs: NOON_MS - 10 * MINUTE_MS, goodUntilMs: NOON_MS + 110 * MINUTE_MS, by: 'reconciliation' };

function component(given: Partial<SnapshotComponent> = {}): SnapshotComponent {
  return { id: 'intake', troubles: [], proof: PROOF, createdAtMs: 0, changedAtMs: 0, ...given };
}

function snapshot(given: Partial<Snapshot> = {}): Snapshot {
  return {
    world: 'real',
    components: [],
    entries: [],
    incidents: [],
    days: {},
    throughput: { yesterday: null, last28Days: null },
    createdAtMs: 0,
    changedAtMs: 0,
    ...given,
  };
}

function entry(given: Partial<SnapshotEntry>): SnapshotEntry {
  return {
    id: 'entry0000001',
    component: 'intake',
    worsen: 'partial_outage',
    note: 'We are moving house.',
    fromMs: NOON_MS - 1,
    untilMs: NOON_MS + MINUTE_MS,
    createdAtMs: NOON_MS - 1,
    ...given,
  };
}

const at = (
  given: Partial<SnapshotComponent>,
  { nowMs = NOON_MS, confirmedAtMs = NOON_MS, entries = [] as SnapshotEntry[] } = {},
) => shownAt(component(given), { snapshot: snapshot({ entries }), confirmedAtMs }, nowMs).state;

describe('what is shown of a component', () => {
  it.each<[string, PublicState, PublicState]>([
    ['nothing is wrong and the proof is fresh', 'operational', at({})],
    [
      'its proof is as old as its limit',
      'operational',
      at({}, { nowMs: PROOF.goodUntilMs, confirmedAtMs: PROOF.goodUntilMs }),
    ],
    ['its proof is older', 'unknown', at({}, { nowMs: PROOF.goodUntilMs + 1, confirmedAtMs: PROOF.goodUntilMs })],
    ['there is no proof', 'unknown', at({ proof: null })],
    ['nobody has published for its limit', 'operational', at({}, { nowMs: NOON_MS + PUBLICATION_LIMIT_MS })],
    ['nobody has published for longer', 'unknown', at({}, { nowMs: NOON_MS + PUBLICATION_LIMIT_MS + 1 })],
    [
      'the page itself is not published',
      'unknown',
      at({ proof: 'publication' }, { nowMs: NOON_MS + PUBLICATION_LIMIT_MS + 1 }),
    ],
    [
      'it is degraded and proved',
      'degraded_performance',
      at({ troubles: [{ state: 'degraded_performance', words: '' }] }),
    ],
    [
      'it is degraded and unproved',
      'unknown',
      at({ proof: null, troubles: [{ state: 'degraded_performance', words: '' }] }),
    ],
    ['it is down and unproved', 'major_outage', at({ proof: null, troubles: [{ state: 'major_outage', words: '' }] })],
    ['a person worsens it', 'partial_outage', at({}, { entries: [entry({})] })],
    ['a person announces it for later', 'operational', at({}, { entries: [entry({ fromMs: NOON_MS + 1 })] })],
    ['what a person said is over', 'operational', at({}, { entries: [entry({ untilMs: NOON_MS })] })],
    [
      'a person says maintenance of what is down',
      'major_outage',
      at({ troubles: [{ state: 'major_outage', words: '' }] }, { entries: [entry({ worsen: 'under_maintenance' })] }),
    ],
    [
      'a person says maintenance of what nobody knows',
      'unknown',
      at({ proof: null }, { entries: [entry({ worsen: 'under_maintenance' })] }),
    ],
    ['a person says something of another', 'operational', at({}, { entries: [entry({ component: 'status' })] })],
  ])('when %s: %s', (_when, wanted, shown) => {
    expect(shown).toBe(wanted);
  });

  it('says why, unless it is operational', () => {
    const shown = shownAt(component({ proof: null }), { snapshot: snapshot(), confirmedAtMs: NOON_MS }, NOON_MS);
    expect(shown.why).toEqual(['Nothing proves yet that it works.']);
    expect(shownAt(component(), { snapshot: snapshot(), confirmedAtMs: NOON_MS }, NOON_MS).why).toEqual([]);
  });

  it('says how long nothing has been published', () => {
    const nowMs = NOON_MS + 26 * 3_600_000;
    expect(shownAt(component(), { snapshot: snapshot(), confirmedAtMs: NOON_MS }, nowMs).why).toEqual([
      'Nothing has been published since 23 Nov 2026, 12:00 UTC, 26 hours ago.',
    ]);
  });

  it('calls a page without components unknown', () => {
    expect(headlineOf([])).toBe('Unknown: nothing is proved right now');
  });
});

describe('whatever monitoring and alerting say', () => {
  const domains = [...DOMAINS, 'eave.myshopify.com', 'fern.myshopify.com'];
  const instants = fc.integer({ min: NOON_MS - 4 * PROOF_LIMIT_MS, max: NOON_MS + PROOF_LIMIT_MS });
  const facts: fc.Arbitrary<Facts> = fc
    .record({
      shops: fc.subarray(domains),
      comparedUntil: fc.array(fc.option(instants), { minLength: domains.length, maxLength: domains.length }),
      signals: fc.array(
        fc.record({
          kind: fc.constantFrom(...SIGNAL_KINDS),
          shop: fc.option(fc.constantFrom(...domains)),
          destination: fc.option(fc.constantFrom('a-ga4', 'a-lake', 'nobody')),
          facts: fc.dictionary(
            fc.constantFrom('orders', 'stages', 'lane', 'failuresInRow', 'findings'),
            fc.jsonValue(),
          ),
        }),
        { maxLength: 12 },
      ),
      beats: fc.array(fc.option(instants, { freq: 20 }), { minLength: DUTIES.length, maxLength: DUTIES.length }),
      severity: fc.option(fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const)),
    })
    .map(({ shops, comparedUntil, signals, beats, severity }) => ({
      nowMs: NOON_MS,
      world: 'real',
      shops: shops.map((domain, index) => shop(index + 1, domain)),
      destinations: [destination(1, 'a-ga4', 'ga4'), destination(2, 'a-lake', 'postgres')],
      signals,
      comparedUntilMs: new Map(domains.map((domain, index) => [domain, comparedUntil[index] ?? null])),
      heartbeats: DUTIES.map((name, index) => ({
        name,
        beatAt: new Date(Math.max(beats[index] ?? 0, beats[index] ? NOON_MS : 0)),
      })),
      incidents:
        severity === null ? [] : [{ incident: incident({ severity, components: ['processing'] }), updates: [] }],
      isCut: false,
    }));
  const entries = fc.array(
    fc.record({
      id: fc.constant('entry0000001'),
      component: fc.constantFrom('intake' as const, 'reconciliation' as const),
      worsen: fc.option(fc.constantFrom(...WORSENINGS)),
      note: fc.string(),
      fromMs: instants,
      untilMs: instants,
      createdAtMs: instants,
    }),
    { maxLength: 4 },
  );

  it('no component is operational unless a fresh proof says so and what is published is fresh', () => {
    let green = 0;
    fc.assert(
      fc.property(
        facts,
        entries,
        instants,
        fc.integer({ min: 0, max: 4 * PROOF_LIMIT_MS }),
        (known, said, confirmedAtMs, laterMs) => {
          const nowMs = confirmedAtMs + laterMs;
          const fresh = known.shops.filter(({ domain }) => {
            const until = known.comparedUntilMs.get(domain) ?? null;
            return until !== null && nowMs - until <= PROOF_LIMIT_MS + MINUTE_MS;
          });
          for (const each of composeComponents(known)) {
            const { state } = shownAt(
              { ...each, createdAtMs: 0, changedAtMs: 0 },
              { snapshot: snapshot({ entries: said }), confirmedAtMs },
              nowMs,
            );
            if (state !== 'operational') continue;
            green += 1;
            expect(laterMs).toBeLessThanOrEqual(PUBLICATION_LIMIT_MS);
            if (each.id === 'status') continue;
            expect(known.shops.length).toBeGreaterThan(0);
            expect(fresh.length).toBe(known.shops.length);
          }
        },
      ),
      { numRuns: 2_000 },
    );
    expect(green).toBeGreaterThan(0);
  });

  it('nothing that people say makes anything better', () => {
    fc.assert(
      fc.property(facts, entries, (known, said) => {
        for (const each of composeComponents(known)) {
          const whole = { ...each, createdAtMs: 0, changedAtMs: 0 };
          const without = shownAt(whole, { snapshot: snapshot(), confirmedAtMs: NOON_MS }, NOON_MS).state;
          const shown = shownAt(
            whole,
            { snapshot: snapshot({ entries: said }), confirmedAtMs: NOON_MS },
            NOON_MS,
          ).state;
          expect(worstOf([without, shown])).toBe(shown);
        }
      }),
    );
  });

  it('keeps one order from good to bad, in which unknown is worse than degraded', () => {
    expect(PUBLIC_STATES).toEqual([
      'operational',
      'under_maintenance',
      'degraded_performance',
      'unknown',
      'partial_outage',
      'major_outage',
    ]);
  });
});
