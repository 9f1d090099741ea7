import { Random } from '../random.js';
import type { StoreProfile } from './catalogue.js';
import type { Numbers } from './numbers.js';
import type { Step } from './lifecycle.js';
import { orderBody, totalsOf, type Basket, type Journey, type OrderBody, type OrderNumbers } from './order-body.js';
import { newCustomer, type Customer } from './people.js';

/** One sale, decided whole before anything of it is sent. */
export interface Sale {
  basket: Basket;
  numbers: OrderNumbers;
  /** The customer is new with this sale, so customers/create goes out. */
  isNewCustomer: boolean;
  /** How long the buyer stays in the checkout; `null` = there is none. */
  checkoutMs: number | null;
  /** Paid the moment it is placed. */
  paidAtOnce: boolean;
  /** What happens to the order later, each counted from the moment it is placed. */
  steps: readonly { afterMs: number; step: Step }[];
  random: Random;
}

/** What the one who asks for an order by hand may insist on. */
export interface Wish {
  channel?: Basket['channel'];
  free?: boolean;
  test?: boolean;
  unpaid?: boolean;
  discount?: boolean;
  foreign?: boolean;
  /** number of line items */
  lines?: number;
}

const KNOWN_CUSTOMERS = 2_000;
const CAMPAIGNS = [
  '/?utm_source=google&utm_medium=cpc&utm_campaign=autumn&gclid=Cj0KCQiA',
  '/collections/all?utm_source=newsletter&utm_medium=email&utm_campaign=november&utm_content=hero',
  '/?utm_source=instagram&utm_medium=paid_social&utm_campaign=launch&fbclid=IwAR3',
  '/products/gift?ref=friend',
  '/',
];
const AGENTS = [
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
];

/** A store's till: decides what the next buyer does. The n-th sale of a seed is always the same sale. */
export class Till {
  private sales = 0;
  private readonly customers: Customer[] = [];

  constructor(
    readonly store: StoreProfile,
    private readonly seed: number,
    private readonly numbers: Numbers,
  ) {}

  decide(atMs: number, wish: Wish = {}): Sale {
    const random = new Random(`${this.seed}:${this.store.domain}:sale:${this.sales}`);
    const number = 1001 + this.sales++;
    const channel =
      wish.channel ??
      random.pickWeighted([
        ['pos', this.store.posShare],
        ['shopify_draft_order', 0.03],
        ['web', 1 - this.store.posShare - 0.03],
      ] as const);
    const foreign = channel === 'web' && (wish.foreign ?? random.chance(0.18)) ? random.pick(this.store.foreign) : null;
    const country = foreign?.country ?? this.store.country;
    const buyer = this.buyer(channel, country, random, atMs);
    const isFree = wish.free ?? random.chance(0.015);
    const basket = this.basket(
      channel,
      { isFree, test: wish.test ?? random.chance(0.01) },
      wish,
      random,
      buyer.customer,
    );
    const purse = {
      shop: this.store.currency,
      presentment: foreign?.currency ?? this.store.currency,
      rate: foreign?.rate ?? 1,
    };
    const sale: Sale = {
      basket: { ...basket, purse },
      numbers: {
        id: this.numbers.order(),
        number,
        shippingLineId: this.numbers.line(),
        token: random.hex(32),
        confirmation: random.hex(9).toUpperCase(),
      },
      isNewCustomer: buyer.isNew,
      checkoutMs: channel === 'web' ? random.between(300, 2_500) : null,
      paidAtOnce: false,
      steps: [],
      random,
    };
    const isFreeInFact = totalsOf(sale.basket, this.store).total === 0;
    return { ...sale, ...future(channel, isFreeInFact, wish.unpaid, random) };
  }

  /** Writes the order down; the customer has one order more from here on. */
  place(sale: Sale, atMs: number): OrderBody {
    if (sale.basket.customer !== null) sale.basket.customer.numberOfOrders++;
    return orderBody(this.store, sale.basket, sale.numbers, atMs, sale.random.fork('body'));
  }

  customer(id: number): Customer | undefined {
    return this.customers.find((customer) => customer.id === id);
  }

  private buyer(channel: Basket['channel'], country: string, random: Random, atMs: number) {
    if (channel === 'pos' && random.chance(0.7)) return { customer: null, isNew: false };
    const known = this.customers.length > 0 && random.chance(0.35) ? random.pick(this.customers) : null;
    if (known !== null) return { customer: known, isNew: false };
    const customer = newCustomer(country, random, atMs, this.numbers.person);
    this.customers.push(customer);
    if (this.customers.length > KNOWN_CUSTOMERS) this.customers.shift();
    return { customer, isNew: true };
  }

  private basket(
    channel: Basket['channel'],
    facts: { isFree: boolean; test: boolean },
    wish: Wish,
    random: Random,
    customer: Customer | null,
  ): Omit<Basket, 'purse'> {
    const count =
      wish.lines ??
      random.pickWeighted([
        [1, 5],
        [2, 4],
        [3, 3],
        [4, 2],
        [5, 1],
      ] as const);
    const isDiscounted = facts.isFree || (channel === 'web' && (wish.discount ?? random.chance(0.2)));
    const percent = facts.isFree ? 100 : random.pick([10, 15, 20]);
    const lines = Array.from({ length: count }, () => {
      const product = random.pick(this.store.products);
      const variant = random.pick(product.variants);
      const quantity = random.pickWeighted([
        [1, 8],
        [2, 3],
        [4, 1],
      ] as const);
      const discountMinor = isDiscounted ? Math.round((variant.priceMinor * quantity * percent) / 100) : 0;
      return { product, variant, quantity, lineId: this.numbers.line(), discountMinor };
    });
    const shippingMinor = channel === 'pos' || facts.isFree || random.chance(0.3) ? 0 : random.between(3, 9) * 100;
    return {
      channel,
      lines,
      discount: isDiscounted
        ? { code: facts.isFree ? 'ON-THE-HOUSE' : `WELCOME${percent}`, type: 'percentage', value: percent.toFixed(1) }
        : null,
      shippingMinor,
      customer,
      journey: channel === 'web' ? journey(random) : null,
      test: facts.test,
    };
  }
}

function journey(random: Random): Journey {
  const noteAttributes = random.chance(0.85)
    ? [
        {
          name: 'google-clientID',
          value: `${random.between(100_000_000, 1_999_999_999)}.${random.between(1_700_000_000, 1_795_000_000)}`,
        },
        { name: 'ga_session_id', value: String(random.between(1_790_000_000, 1_795_000_000)) },
      ]
    : [];
  const landing = random.pick(CAMPAIGNS);
  return {
    landingSite: landing.endsWith('gclid=Cj0KCQiA') ? `${landing}${random.hex(24)}` : landing,
    referringSite: random.pick(['https://www.google.com/', 'https://www.instagram.com/', null, '']),
    noteAttributes,
    browserIp: `203.0.113.${random.between(1, 254)}`, // TEST-NET-3 (RFC 5737): nobody's address
    userAgent: random.pick(AGENTS),
    cartToken: `hWN${random.hex(26)}`,
    checkoutToken: random.hex(32),
  };
}

/** What becomes of the order. Shares are ours, chosen so that a newcomer sees each case within a few minutes. */
function future(
  channel: Basket['channel'],
  isFree: boolean,
  unpaid: boolean | undefined,
  random: Random,
): Pick<Sale, 'paidAtOnce' | 'steps'> {
  const steps: { afterMs: number; step: Step }[] = [];
  const paidAtOnce = unpaid !== true && !isFree && (channel === 'pos' || (channel === 'web' && random.chance(0.72)));
  let paidMs = paidAtOnce || isFree ? 0 : null;
  if (paidMs === null && unpaid !== true && random.chance(0.9)) {
    paidMs = random.between(1_500, 9_000);
    steps.push({ afterMs: paidMs, step: 'pay' });
  }
  if (random.chance(0.12)) steps.push({ afterMs: (paidMs ?? 0) + random.between(3_000, 20_000), step: 'edit' });
  const end = random.next();
  const laterMs = (paidMs ?? 0) + random.between(8_000, 45_000);
  if (end < (paidMs === null ? 0.25 : 0.03)) steps.push({ afterMs: laterMs, step: 'cancel' });
  else if (paidMs !== null && !isFree && end < 0.06) steps.push({ afterMs: laterMs, step: 'refund-part' });
  else if (paidMs !== null && !isFree && end < 0.08) steps.push({ afterMs: laterMs, step: 'refund-all' });
  return { paidAtOnce, steps: steps.sort((one, other) => one.afterMs - other.afterMs) };
}
