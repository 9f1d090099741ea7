interface Waiter<Item> {
  item: Item;
  resolve: () => void;
  reject: (error: unknown) => void;
}

const TOGETHER_MAX = 128;
const WINDOW_MS = 4;
const BATCHES_MAX = 3;

/**
 * Group commit for the rivals, as our own inbox does it: up to 128 together, a window of 4 ms, three batches at a time.
 * So every store is measured with the batching that suits it, and the difference left is the store's.
 */
export class Batcher<Item> {
  private waiting: Waiter<Item>[] = [];
  private underWay = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly store: (items: Item[]) => Promise<unknown>) {}

  append(item: Item): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (this.waiting.length >= TOGETHER_MAX) this.flush();
      else this.timer ??= setTimeout(() => this.flush(), WINDOW_MS);
    });
  }

  private flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    while (this.waiting.length > 0 && this.underWay < BATCHES_MAX) {
      void this.commit(this.waiting.splice(0, TOGETHER_MAX));
    }
  }

  private async commit(batch: Waiter<Item>[]): Promise<void> {
    this.underWay += 1;
    try {
      await this.store(batch.map(({ item }) => item));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.underWay -= 1;
      if (this.waiting.length > 0) this.flush();
    }
  }
}
