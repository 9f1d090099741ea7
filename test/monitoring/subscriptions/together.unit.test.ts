import { describe, expect, it } from 'vitest';
import { Together } from '../../../src/monitoring/subscriptions/together.js';

describe('work done together', () => {
  it('makes one piece of what comes at once, and one of what comes meanwhile', async () => {
    const pieces: number[][] = [];
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const together = new Together(async (items: readonly number[]) => {
      pieces.push([...items]);
      if (pieces.length === 1) await held;
      return items.length;
    });
    const first = [together.add(1), together.add(2)];
    while (pieces.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const later = [together.add(3), together.add(4), together.add(5)];
    release();
    expect(await Promise.all(first)).toEqual([2, 2]);
    expect(await Promise.all(later)).toEqual([3, 3, 3]);
    expect(pieces).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  it('tells a failure to those who shared it, and goes on for the others', async () => {
    const together = new Together((items: readonly string[]) =>
      items.includes('bad') ? Promise.reject(new Error('refused')) : Promise.resolve(items.length),
    );
    const shared = [together.add('bad'), together.add('good')];
    await Promise.all(shared.map((one) => expect(one).rejects.toThrow('refused')));
    expect(await together.add('good')).toBe(1);
  });
});
