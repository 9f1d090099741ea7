import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BulkLines, type Batch } from '../../../src/monitoring/reconciliation/bulk-lines.js';
import { UnreadableNode } from '../../../src/monitoring/reconciliation/listed-order.js';
import type { ResultBody } from '../../../src/pipeline/contract.js';

const gid = (id: number) => `gid://shopify/Order/${id}`;

function orderLine(id: number, more: object = {}): string {
  const at = '2026-11-27T14:00:00Z';
  // Names of every width, so that pieces of the body end within a character, too.
  return JSON.stringify({ id: gid(id), name: `#${id} 包装 ☕`, createdAt: at, updatedAt: at, refunds: [], ...more });
}

const refundLine = (id: number, order: number): string =>
  JSON.stringify({ id: `gid://shopify/Refund/${id}`, createdAt: '2026-11-27T15:00:00Z', __parentId: gid(order) });

/** A body in pieces; `then` is how it ends. */
class Pieces implements ResultBody {
  closed = false;
  constructor(
    private readonly pieces: Buffer[],
    private readonly then: 'end' | 'cut' = 'end',
  ) {}

  next(): ReturnType<ResultBody['next']> {
    const bytes = this.pieces.shift();
    if (bytes) return Promise.resolve({ kind: 'chunk', bytes });
    return Promise.resolve(this.then === 'end' ? { kind: 'end' } : { kind: 'cut', detail: 'hung up' });
  }

  close(): void {
    this.closed = true;
  }
}

function cutUp(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

function linesOf(text: string, size = 7, then: 'end' | 'cut' = 'end', from = 0): BulkLines {
  return new BulkLines(new Pieces(cutUp(Buffer.from(text).subarray(from), size), then), from);
}

const ids = ({ orders }: Batch) => orders.map(({ orderId }) => Number(orderId));

async function every(lines: BulkLines, most: number): Promise<{ ids: number[]; bytes: number[]; then: Batch['then'] }> {
  const found: number[] = [];
  const bytes: number[] = [];
  for (;;) {
    const batch = await lines.batch(most);
    found.push(...ids(batch));
    bytes.push(batch.byte);
    if (batch.then !== 'more') return { ids: found, bytes, then: batch.then };
  }
}

const file = (orders: readonly number[], end = '\n') => orders.map((id) => orderLine(id)).join('\n') + end;

describe('the lines of a bulk result', () => {
  it('come in batches, each with the byte where the next begins', async () => {
    const text = file([1, 2, 3, 4, 5]);
    const lines = linesOf(text);
    const first = await lines.batch(2);
    expect([ids(first), first.then]).toEqual([[1, 2], 'more']);
    expect(Buffer.from(text).subarray(first.byte).toString()).toBe(file([3, 4, 5]));
    const again = linesOf(text, 11, 'end', first.byte);
    expect(await every(again, 2)).toMatchObject({ ids: [3, 4, 5], then: 'end' });
    expect(await every(lines, 2)).toMatchObject({ ids: [3, 4, 5], then: 'end' });
  });

  it.each(['\n', '', '\r\n', '\n\n'])('may end with %j', async (end) => {
    expect(await every(linesOf(file([1, 2], end)), 10)).toMatchObject({ ids: [1, 2], then: 'end' });
  });

  it('of an empty file are none', async () => {
    expect(await every(linesOf(''), 10)).toEqual({ ids: [], bytes: [0], then: 'end' });
  });

  it('give a refund on a line of its own to its order, right behind it or further down', async () => {
    const text = [orderLine(1), refundLine(71, 1), orderLine(2), refundLine(72, 1), refundLine(73, 2)].join('\n');
    const { orders } = await linesOf(text).batch(10);
    expect(orders.map(({ refunds }) => refunds.map(({ refundId }) => refundId))).toEqual([['71', '72'], ['73']]);
    const grouped = await linesOf(text).batch(1);
    expect(grouped.orders[0]?.refunds.map(({ refundId }) => refundId)).toEqual(['71']);
  });

  it('of other objects pass without effect', async () => {
    const item = JSON.stringify({ id: 'gid://shopify/LineItem/5', sku: 'A', __parentId: gid(1) });
    const { orders } = await linesOf([orderLine(1), item, item].join('\n')).batch(10);
    expect(orders).toMatchObject([{ orderId: '1', refunds: [] }]);
  });

  it('that cannot be read are told, never passed over', async () => {
    const far = [orderLine(1), orderLine(2), refundLine(71, 1)].join('\n');
    const lines = linesOf(far);
    await lines.batch(1);
    await expect(lines.batch(1)).rejects.toThrow(UnreadableNode);
    await expect(linesOf('<Error>no such key</Error>\nx').batch(1)).rejects.toThrow(UnreadableNode);
    await expect(linesOf('[1]\n').batch(1)).rejects.toThrow(UnreadableNode);
    await expect(linesOf(`${'x'.repeat(9 * 1024 * 1024)}\n`, 65_536).batch(1)).rejects.toThrow(/more than/);
  });

  it('that break off give all but the last order, of which something may be missing', async () => {
    const whole = file([1, 2, 3]);
    const cut = await linesOf(whole + orderLine(4).slice(0, 20), 7, 'cut').batch(10);
    expect([ids(cut), cut.then, cut.detail]).toEqual([[1, 2], 'cut', 'hung up']);
    expect(Buffer.from(whole).subarray(cut.byte).toString()).toBe(file([3]));
    const ended = await linesOf(whole + orderLine(4).slice(0, 20)).batch(10);
    expect([ids(ended), ended.then]).toEqual([[1, 2], 'cut']);
  });

  it('are each read once, however the body is cut into pieces, breaks off and is opened again', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.boolean(), { maxLength: 3 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(
          fc.record({ size: fc.integer({ min: 1, max: 400 }), keep: fc.integer({ min: 0, max: 2_000 }) }),
        ),
        async (shape, most, plans) => {
          const text = shape
            .flatMap((refunds, order) => [
              orderLine(order + 1),
              ...refunds.map((_, at) => refundLine(order * 10 + at, order + 1)),
            ])
            .join('\n');
          const bytes = Buffer.from(text);
          const found: string[] = [];
          let byte = 0;
          let tries = 0;
          for (const { size, keep } of plans) {
            // At last it comes through: a far side that always breaks off at one place is never done with.
            const isWhole = ++tries > 20 || byte + keep >= bytes.length;
            const left = bytes.subarray(byte, isWhole ? bytes.length : byte + keep);
            const lines = new BulkLines(new Pieces(cutUp(left, size), isWhole ? 'end' : 'cut'), byte);
            let batch: Batch;
            do {
              batch = await lines.batch(most);
              found.push(...batch.orders.map(({ orderId, refunds }) => `${orderId}:${refunds.length}`));
              byte = batch.byte;
            } while (batch.then === 'more');
            if (batch.then === 'end') break;
          }
          expect(found).toEqual(shape.map((refunds, order) => `${order + 1}:${refunds.length}`));
        },
      ),
      { numRuns: 300 },
    ));
});
