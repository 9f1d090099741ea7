import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CATALOGUE, isNeverMuted } from '../../../src/alerting/catalogue.js';
import type { Notification } from '../../../src/alerting/notify/notification.js';
import { SlackWebhook } from '../../../src/alerting/notify/slack-webhook.js';
import { ManualClock } from '../../../src/kernel/clock.js';
import { DIGEST_MAX, isNeverFolded, planMessages, TICKETS } from '../../../src/alerting/notify/second-channel.js';

const NAMES = ['subscription-removed', 'orders-missing', 'orders-late', 'queue-old'] as const;

function said(id: number, name: string, more: Partial<Notification> = {}): Notification {
  return {
    id: String(id),
    alertId: String(id),
    dedupeKey: `key-${id}`,
    world: 'real',
    channel: 'second',
    recipient: 'email',
    action: 'trigger',
    reason: 'new',
    severity: 2,
    summary: `${name} number ${id}.`,
    body: {
      name,
      class: 'page',
      facts: {},
      evidence: '/api/v1/alerts',
      runbook: name,
      shop: null,
      destination: null,
      signals: 1,
      shops: 1,
      since: '2026-11-27T12:00:00.000Z',
    },
    attempts: 1,
    createdAt: new Date('2026-11-27T12:00:00Z'),
    ...more,
  };
}

const textOf = (planned: ReturnType<typeof planMessages>): string =>
  planned.map(({ message }) => [message.title, ...message.lines].join('\n')).join('\n');

describe('what the second channel says', () => {
  it('says everything once, in at most as many messages as may go, and names each removal and each missing order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...NAMES), { maxLength: 150 }),
        fc.integer({ min: 1, max: 12 }),
        (names, free) => {
          const due = names.map((name, index) => said(index, name));
          const planned = planMessages(due, free, null);
          expect(planned.length).toBeLessThanOrEqual(free);
          expect(planned.flatMap(({ notifications }) => notifications.map(({ id }) => id))).toEqual(
            due.map(({ id }) => id),
          );
          const text = textOf(planned);
          for (const one of due.filter(isNeverFolded)) expect(text).toContain(one.summary);
        },
      ),
    );
  });

  it('leaves what is more than one digest holds for the next', () => {
    const due = Array.from({ length: DIGEST_MAX + 50 }, (_, index) => said(index, 'queue-old'));
    expect(planMessages(due, 1, null).map(({ notifications }) => notifications.length)).toEqual([DIGEST_MAX]);
    expect(planMessages(due, 0, null)).toEqual([]);
  });

  it('has the same id when it is said again', () => {
    const due = [said(1, 'queue-old'), said(2, 'queue-old'), said(3, 'queue-old')];
    expect(planMessages(due, 2, null).map(({ message }) => message.id)).toEqual([
      'plumbline-1',
      'plumbline-digest-2-3',
    ]);
  });

  it('doubts the pager only where a page stands behind it', () => {
    const doubt = /The pager has not confirmed/;
    expect(textOf(planMessages([said(1, 'queue-old')], 5, null))).toMatch(doubt);
    expect(textOf(planMessages([said(1, 'queue-old', { recipient: TICKETS })], 5, null))).not.toMatch(doubt);
    expect(textOf(planMessages([said(1, 'notifier-failing')], 5, null))).not.toMatch(doubt);
    const alone = { fits: () => true, hasPager: false };
    expect(textOf(planMessages([said(1, 'queue-old'), said(2, 'queue-old')], 1, null, alone))).not.toMatch(doubt);
  });
});

describe('a webhook in the shape of Slack', () => {
  it('has in what is posted each removal that is settled with it, within the limits of its blocks', async () => {
    const bodies: string[] = [];
    const webhook = new SlackWebhook({
      settings: { url: 'http://hooks.example.com/services/T0' },
      http: {
        request: ({ body }) => {
          bodies.push(String(body));
          return Promise.resolve({ kind: 'answer', status: 200, headers: {}, body: '', complete: true });
        },
      },
      clock: new ManualClock(0),
    });
    const removal = (id: number) => {
      const shop = `shop-${String(id).padStart(3, '0')}-of-a-group-with-a-long-name.myshopify.com`;
      const summary = `The subscription of ${shop} to orders/paid & what is <like> it was removed: no order comes in`;
      return said(id, 'subscription-removed', { summary });
    };
    let due = Array.from({ length: 120 }, (_, id) => removal(id));
    for (let round = 0; due.length > 0 && round < 10; round++) {
      for (const { message, notifications } of planMessages(due, 1, null, {
        fits: (each) => webhook.fits(each),
        hasPager: true,
      })) {
        await webhook.tell(message, new AbortController().signal);
        const { blocks } = JSON.parse(bodies.at(-1) ?? '') as { blocks: { text: { text: string } }[] };
        expect(blocks.length).toBeLessThanOrEqual(50);
        for (const { text } of blocks) expect(text.text.length).toBeLessThanOrEqual(3_000);
        const text = blocks.map((block) => block.text.text).join('\n');
        for (const { summary } of notifications) expect(text).toContain(/shop-\d+-[^ ]+/.exec(summary)?.[0]);
        due = due.slice(notifications.length);
      }
    }
    expect(due).toEqual([]);
    expect(bodies.length).toBeLessThanOrEqual(2);
  });
});

it('never folds what the catalogue says must never be muted, and nothing else', () => {
  const names = CATALOGUE.filter(isNeverMuted).map(({ name }) => name);
  expect(names.sort()).toEqual(
    CATALOGUE.map(({ name }) => name)
      .filter((name) => isNeverFolded(said(1, name)))
      .sort(),
  );
});
