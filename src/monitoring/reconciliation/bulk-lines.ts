import type { ResultBody } from '../../pipeline/contract.js';
import { UnreadableNode, listedOrderOf, type ListedOrder } from './listed-order.js';

const NEWLINE = 0x0a;
/** An order with a thousand refunds has some 150 KB. */
const LINE_MAX_BYTES = 8 * 1024 * 1024;

export interface Batch {
  orders: ListedOrder[];
  /** Of the file, from its beginning: where the next batch begins. */
  byte: number;
  /** `end`: the file is whole and this was the last of it. `cut`: it broke off; go on from `byte`. */
  then: 'more' | 'end' | 'cut';
  /** Why it was cut; empty otherwise. */
  detail: string;
}

type Node = Record<string, unknown>;

/**
 * The lines of a bulk result, as orders. Holds one piece of the body and one batch, whatever the size of the file.
 *
 * Invariant: a batch ends before the line of an order, so that what belongs to an order and follows it (`__parentId`)
 * is in the same batch; and an order is only given when the next one, or the end of the file, has been seen.
 */
export class BulkLines {
  private held: Buffer = Buffer.alloc(0);
  /** Within `held`: what has been given out ends here. */
  private from = 0;

  /** @param byte of the file, with which the body begins */
  constructor(
    private readonly body: ResultBody,
    private byte: number,
  ) {}

  get at(): number {
    return this.byte;
  }

  close(): void {
    this.body.close();
  }

  /**
   * @param most orders at the most, at least 1
   * @throws UnreadableNode when a line is not what Shopify documents
   */
  async batch(most: number): Promise<Batch> {
    const roots: Node[] = [];
    const byId = new Map<unknown, Node>();
    let lastRootAt = this.byte;
    for (;;) {
      const length = this.lineLength() ?? (await this.fill());
      if (typeof length === 'object') return this.ended(roots, lastRootAt, length);
      const text = this.held.toString('utf8', this.from, this.from + length);
      const node = text.trim() === '' ? null : nodeOf(text);
      if (node !== null && node['__parentId'] === undefined) {
        if (roots.length >= most) return this.give(roots, 'more');
        lastRootAt = this.byte;
        roots.push(node);
        byId.set(node['id'], node);
      } else if (node !== null) {
        adopt(node, byId);
      }
      this.skip(length + 1);
    }
  }

  /** Of the next line, without its end; `null` = more must come first. */
  private lineLength(): number | null {
    const end = this.held.indexOf(NEWLINE, this.from);
    return end < 0 ? null : end - this.from;
  }

  /** Reads on until a line is there. @returns its length, or how the body ended before one was */
  private async fill(): Promise<number | { then: 'end' | 'cut'; detail: string }> {
    for (;;) {
      const rest = this.held.length - this.from;
      if (rest > LINE_MAX_BYTES)
        throw new UnreadableNode(`Shopify’s file has a line of more than ${LINE_MAX_BYTES} bytes`);
      const next = await this.body.next();
      if (next.kind === 'cut') return { then: 'cut', detail: next.detail };
      if (next.kind === 'end') return { then: 'end', detail: '' };
      this.held = rest === 0 ? next.bytes : Buffer.concat([this.held.subarray(this.from), next.bytes]);
      this.from = 0;
      const length = this.lineLength();
      if (length !== null) return length;
    }
  }

  private ended(roots: Node[], lastRootAt: number, how: { then: 'end' | 'cut'; detail: string }): Batch {
    const rest = this.held.toString('utf8', this.from).trim();
    const last = how.then === 'end' && rest !== '' ? parsed(rest) : null;
    if (last !== null) {
      // A last line without an end is a line, if it can be read; otherwise it is the half of one.
      this.skip(this.held.length - this.from);
      if (last['__parentId'] === undefined) roots.push(last);
      else adopt(last, new Map(roots.map((root) => [root['id'], root])));
    }
    if (how.then === 'end' && (rest === '' || last !== null)) return this.give(roots, 'end');
    // What belongs to the last order may have been on its way.
    const whole = roots.slice(0, -1);
    const detail = how.detail || 'it ends within a line';
    return { ...this.give(whole, 'cut'), byte: lastRootAt, detail };
  }

  private give(roots: readonly Node[], then: Batch['then']): Batch {
    return { orders: roots.map(listedOrderOf), byte: this.byte, then, detail: '' };
  }

  private skip(bytes: number): void {
    this.from += bytes;
    this.byte += bytes;
  }
}

function nodeOf(text: string): Node {
  const node = parsed(text);
  if (node === null) throw new UnreadableNode('a line of Shopify’s file is no JSON object');
  return node;
}

function parsed(text: string): Node | null {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Node) : null;
  } catch {
    return null;
  }
}

/** Gives a refund that stands on a line of its own to its order. What else stands there was not asked for. */
function adopt(child: Node, byId: ReadonlyMap<unknown, Node>): void {
  const id = child['id'];
  if (typeof id !== 'string' || !id.includes('/Refund/')) return;
  const parent = byId.get(child['__parentId']);
  if (!parent) throw new UnreadableNode('Shopify’s file has a refund far from its order');
  const refunds: unknown = parent['refunds'];
  parent['refunds'] = [...(Array.isArray(refunds) ? (refunds as unknown[]) : []), child];
}
