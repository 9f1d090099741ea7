import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arrivals, type Arrival } from '../../../src/pipeline/intake/arrivals.js';

class Guest implements Arrival<Guest> {
  earlier: Guest | null = null;
  later: Guest | null = null;
}

describe('arrivals', () => {
  test('keep the order of arrival, whoever leaves and whenever', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(), { freq: 2 })), (steps) => {
        const arrivals = new Arrivals<Guest>();
        const expected: Guest[] = [];
        for (const leaver of steps) {
          if (leaver === null) {
            const guest = new Guest();
            arrivals.add(guest);
            expected.push(guest);
          } else if (expected.length > 0) {
            const [gone] = expected.splice(leaver % expected.length, 1);
            if (gone) arrivals.remove(gone);
          }
          expect(arrivals.size).toBe(expected.length);
        }
        for (const guest of expected) {
          expect(arrivals.eldest).toBe(guest);
          arrivals.remove(guest);
        }
        expect(arrivals.eldest).toBeNull();
      }),
    );
  });

  test('point at nothing that has left, and what has left points at nothing', () => {
    const arrivals = new Arrivals<Guest>();
    const guests = [new Guest(), new Guest(), new Guest()] as const;
    for (const guest of guests) arrivals.add(guest);
    arrivals.remove(guests[1]);
    expect([guests[1].earlier, guests[1].later]).toEqual([null, null]);
    expect([guests[0].later, guests[2].earlier]).toEqual([guests[2], guests[0]]);
  });
});
