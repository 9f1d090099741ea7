import { Random } from '../random.js';

const EPOCH_2020_SECONDS = 1_577_836_800;

/**
 * Shopify's ids: unique over all stores, growing, with gaps.
 *
 * Invariant: a sandbox started later gives greater ids, whatever its seed; each second since 2020 owns a slice of
 * 4,096. Were ids to repeat, the service would rightly take a new order for one it already knows.
 */
export class Numbers {
  private readonly random: Random;
  private orderId: number;
  private lineId: number;
  private personId: number;
  private refundId: number;
  private subscriptionId: number;
  private bulkOperationId: number;

  constructor(seed: number, startedAtMs: number) {
    const slice = (Math.floor(startedAtMs / 1000) - EPOCH_2020_SECONDS) * 4096;
    this.random = new Random(`${seed}:numbers:${startedAtMs}`);
    this.orderId = 6_000_000_000_000 + slice;
    this.lineId = 14_000_000_000_000 + slice * 8;
    this.personId = 8_000_000_000_000 + slice;
    this.refundId = 1_000_000_000_000 + slice;
    this.subscriptionId = 1_300_000_000_000 + slice;
    this.bulkOperationId = 4_000_000_000_000 + slice;
  }

  order = (): number => (this.orderId += this.random.between(1, 6));
  line = (): number => (this.lineId += this.random.between(1, 4));
  person = (): number => (this.personId += this.random.between(1, 3));
  refund = (): number => (this.refundId += this.random.between(1, 3));
  subscription = (): number => (this.subscriptionId += this.random.between(1, 3));
  bulkOperation = (): number => (this.bulkOperationId += this.random.between(1, 3));
  /** Webhook and event ids. They differ between two runs of one seed for the same reason. */
  uuid = (): string => this.random.uuid();
  /** Chance for what is not part of the story, such as how many digits a time is printed with. */
  fraction = (): number => this.random.next();
}
