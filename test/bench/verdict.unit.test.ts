import { describe, expect, it } from 'vitest';
import { cpuRatio, difference, rateRatio } from '../../bench/figures.js';
import type { Sample, ScenarioResult } from '../../bench/scenario.js';
import { quantile, spread } from '../../bench/statistics.js';
import { isNoisy, judge, type Row } from '../../bench/verdict.js';

function sample(overrides: Partial<Sample> = {}): Sample {
  return { perSecond: 1_000, appMicros: 80, databaseMicros: 20, othersCores: 0, more: {}, ...overrides };
}

function result(samples: Record<string, Sample[]>, skipped: ScenarioResult['skipped'] = []): ScenarioResult {
  return { name: 'scene', title: '', base: 'base', samples: new Map(Object.entries(samples)), skipped };
}

const ROW: Row = {
  scenario: 'scene',
  what: 'ours / base',
  aim: { atLeast: 0.8 },
  floor: { atLeast: 0.5, source: 'T0' },
  figures: (r) => [rateRatio(r, 'ours', 'base'), cpuRatio(r, 'ours', 'base')],
};

describe('a ratio', () => {
  it('compares what stood side by side in a round, not the medians of all rounds', () => {
    const scene = result({
      ours: [sample({ perSecond: 500 }), sample({ perSecond: 2_000 })],
      base: [sample({ perSecond: 1_000 }), sample({ perSecond: 4_000 })],
    });
    expect(rateRatio(scene, 'ours', 'base').values).toEqual([0.5, 0.5]);
  });

  it('of processor time is above 1 when ours is the cheaper, the database included', () => {
    const scene = result({ ours: [sample()], base: [sample({ appMicros: 100, databaseMicros: 100 })] });
    expect(cpuRatio(scene, 'ours', 'base').values).toEqual([2]);
  });

  it('leaves a round out that only one of the two has', () => {
    const scene = result({ ours: [sample(), sample()], base: [sample()] });
    expect(rateRatio(scene, 'ours', 'base').values).toHaveLength(1);
  });

  it('of latencies is a difference', () => {
    const scene = result({ ours: [sample({ more: { p99Ms: 12 } })], base: [sample({ more: { p99Ms: 5 } })] });
    expect(difference(scene, 'ours', 'base', 'p99Ms').values).toEqual([7]);
  });
});

describe('a verdict', () => {
  const at = (ours: Partial<Sample>, base: Partial<Sample> = {}) =>
    judge(ROW, result({ ours: [sample(ours)], base: [sample(base)] }));

  it('is "aim met" when every figure keeps the aim', () => {
    expect(at({}).verdict).toBe('aim met');
  });

  it('follows the worst figure and says by how much the aim is missed', () => {
    expect(at({ perSecond: 600 })).toMatchObject({
      verdict: 'floor met, aim missed by 25 %',
      floorMissed: false,
    });
  });

  it('fails the run when a floor is missed on a quiet machine', () => {
    expect(at({ perSecond: 250 })).toMatchObject({ verdict: 'FLOOR MISSED by 50 %', floorMissed: true });
  });

  it('judges processor time alone where others were busy, and fails nothing', () => {
    expect(at({ perSecond: 1, othersCores: 2 }, { othersCores: 2 })).toMatchObject({
      verdict: 'NOISY, CPU only: aim met',
      floorMissed: false,
    });
    expect(at({ appMicros: 1_000, othersCores: 2 }, { othersCores: 2 }).floorMissed).toBe(false);
  });

  it('of a rival that is not here says why it is not', () => {
    const scene = result({ base: [sample()] }, [{ name: 'base', reason: 'install it' }]);
    expect(judge(ROW, scene).verdict).toBe('skipped: install it');
  });
});

describe('noise', () => {
  it('is seen when the base swings by more than half, however idle the machine is', () => {
    const swinging = result({ base: [sample({ perSecond: 1_000 }), sample({ perSecond: 1_600 })] });
    const steady = result({ base: [sample({ perSecond: 1_000 }), sample({ perSecond: 1_400 })] });
    expect([isNoisy(swinging), isNoisy(steady)]).toEqual([true, false]);
  });
});

describe('statistics', () => {
  it('take the nearest rank for p99 and the middle of two for an even median', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect([quantile(hundred, 0.99), quantile([4, 1, 3, 2], 0.5), quantile([], 0.5)]).toEqual([99, 2.5, NaN]);
    expect(spread([2, 3])).toBe(1.5);
  });
});
