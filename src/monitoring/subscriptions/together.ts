/**
 * Makes one piece of work of many: what comes in one turn of the event loop, or while a piece is under way, shares the
 * next. A failure is told to those who shared it, and to nobody else.
 */
export class Together<Item, Result> {
  private waiting: Item[] = [];
  private running: Promise<unknown> = Promise.resolve();
  private next: Promise<Result> | null = null;

  constructor(private readonly work: (items: readonly Item[]) => Promise<Result>) {}

  add(item: Item): Promise<Result> {
    this.waiting.push(item);
    return (this.next ??= this.workNext());
  }

  private async workNext(): Promise<Result> {
    await this.running.catch(() => undefined); // those who shared it have heard
    await new Promise((resolve) => setImmediate(resolve)); // answers that came at once are still being read
    this.next = null;
    const work = this.work(this.waiting.splice(0));
    this.running = work;
    return work;
  }
}
