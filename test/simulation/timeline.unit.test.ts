import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timeline } from '../../simulation/timeline.js';

describe('the timeline', () => {
  it('keeps every appointment once, at its own instant, in the order of time and then of making', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }), async (delays) => {
        const timeline = new Timeline(1_000);
        const kept: { atMs: number; index: number }[] = [];
        delays.forEach((delayMs, index) => {
          timeline.world.after(delayMs, () => kept.push({ atMs: timeline.nowMs, index }));
        });
        await timeline.live(1_100);
        const wanted = delays
          .map((delayMs, index) => ({ atMs: 1_000 + delayMs, index }))
          .sort((one, other) => one.atMs - other.atMs || one.index - other.index);
        expect(kept).toEqual(wanted);
        expect(timeline.nowMs).toBe(1_100);
      }),
    );
  });

  it('lets promises that an appointment answered go on before the next appointment', async () => {
    const timeline = new Timeline(0);
    const said: string[] = [];
    const answer = new Promise<void>((resolve) => void timeline.at(10, resolve));
    void answer.then(async () => {
      await Promise.resolve();
      said.push(`heard at ${timeline.nowMs}`);
    });
    timeline.at(10, () => said.push('the next one'));
    timeline.at(20, () => said.push('the last one'));
    await timeline.live(30);
    expect(said).toEqual(['heard at 10', 'the next one', 'the last one']);
  });

  it('keeps appointments that are made on the way, and none that was taken back', async () => {
    const timeline = new Timeline(0);
    const said: number[] = [];
    const takeBack = timeline.at(15, () => said.push(-1));
    timeline.at(10, () => {
      takeBack();
      timeline.world.after(5, () => said.push(timeline.nowMs));
    });
    await timeline.live(40);
    expect(said).toEqual([15]);
    expect(timeline.clock.nowMs()).toBe(40);
  });
});
