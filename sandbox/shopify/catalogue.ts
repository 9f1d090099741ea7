import { Random } from '../random.js';

/** What a store is: fixed by the seed, so the same product has the same id in every run of one seed. */
export interface StoreProfile {
  domain: string;
  name: string;
  shopId: number;
  currency: string;
  /** Currencies its buyers may see, with the rate from the shop's. The shop's own is not listed. */
  foreign: readonly { currency: string; rate: number; country: string }[];
  timeZone: string;
  country: string;
  taxRate: number;
  taxTitle: string;
  taxesIncluded: boolean;
  products: readonly Product[];
  accessToken: string;
  /** Share of sales at the counter. */
  posShare: number;
}

export interface Product {
  id: number;
  title: string;
  productType: string;
  vendor: string;
  variants: readonly Variant[];
}

export interface Variant {
  id: number;
  title: string | null;
  sku: string;
  /** minor units of the shop's currency */
  priceMinor: number;
  grams: number;
}

type Range = readonly [
  title: string,
  productType: string,
  vendor: string,
  priceMinor: number,
  options: readonly string[],
];

interface Trade {
  slug: string;
  name: string;
  country: string;
  currency: string;
  timeZone: string;
  tax: readonly [rate: number, title: string, included: boolean];
  foreign: readonly { currency: string; rate: number; country: string }[];
  posShare: number;
  range: readonly Range[];
}

const SIZES = ['S', 'M', 'L', 'XL'];
const TRADES: readonly Trade[] = [
  {
    slug: 'sandbox-harbour-coffee',
    name: 'Harbour Coffee',
    country: 'US',
    currency: 'USD',
    timeZone: 'America/New_York',
    tax: [0.08875, 'New York Sales Tax', false],
    foreign: [
      { currency: 'EUR', rate: 0.86, country: 'DE' },
      { currency: 'CAD', rate: 1.37, country: 'CA' },
    ],
    posShare: 0.14,
    range: [
      ['Harbour House Blend', 'Coffee beans', 'Harbour Coffee', 1650, ['250 g', '1 kg']],
      ['Night Ferry Espresso', 'Coffee beans', 'Harbour Coffee', 1795, ['250 g', '1 kg']],
      ['Lighthouse Decaf', 'Coffee beans', 'Harbour Coffee', 1725, ['250 g', '1 kg']],
      ['Pier 9 Cold Brew Kit', 'Brewing', 'Tidewater Tools', 3900, []],
      ['Gooseneck Kettle', 'Brewing', 'Tidewater Tools', 8900, ['Black', 'Steel']],
      ['Paper Filters, 100', 'Brewing', 'Tidewater Tools', 690, []],
      ['Dockside Mug', 'Tableware', 'Clay & Salt', 2200, ['Fog', 'Rust', 'Deep sea']],
    ],
  },
  {
    slug: 'sandbox-alpen-textil',
    name: 'Alpen Textil',
    country: 'DE',
    currency: 'EUR',
    timeZone: 'Europe/Berlin',
    tax: [0.19, 'DE MwSt', true],
    foreign: [
      { currency: 'CHF', rate: 0.94, country: 'CH' },
      { currency: 'GBP', rate: 0.85, country: 'GB' },
    ],
    posShare: 0.05,
    range: [
      ['Loden Jacket', 'Outerwear', 'Alpen Textil', 24900, SIZES],
      ['Merino Base Layer', 'Underwear', 'Gipfelwolle', 7990, SIZES],
      ['Wool Hiking Socks', 'Socks', 'Gipfelwolle', 1890, ['39-42', '43-46']],
      ['Felt Slippers', 'Footwear', 'Filz & Faden', 4450, ['38', '40', '42', '44']],
      ['Linen Tea Towel', 'Home', 'Filz & Faden', 1250, []],
      ['Mountain Scarf', 'Accessories', 'Alpen Textil', 3990, ['Moss', 'Granite']],
    ],
  },
  {
    slug: 'sandbox-kumo-stationery',
    name: 'Kumo Stationery',
    country: 'JP',
    currency: 'JPY',
    timeZone: 'Asia/Tokyo',
    tax: [0.1, '消費税', true],
    foreign: [{ currency: 'USD', rate: 0.0066, country: 'US' }],
    posShare: 0.08,
    range: [
      ['Cloud Notebook A5 雲', 'Notebooks', 'Kumo', 1320, ['Grid', 'Plain', 'Ruled']],
      ['Brass Pen', 'Pens', 'Kumo', 4800, []],
      ['Rain Ink 30 ml', 'Ink', 'Sumi Works', 2200, ['Blue', 'Grey', 'Green']],
      ['Washi Tape Set', 'Craft', 'Sumi Works', 980, []],
      ['Desk Calendar 2027', 'Calendars', 'Kumo', 1800, []],
      ['Letter Set “First Snow”', 'Paper', 'Kamiya', 1100, []],
    ],
  },
];

/**
 * The stores of a world. Past the third they are further branches with other numbers, so any count works.
 *
 * @param accessToken the Admin API token; every store of a sandbox accepts the same one
 */
export function stores(count: number, seed: number, accessToken: string): StoreProfile[] {
  return Array.from({ length: count }, (_, index) => {
    const trade = TRADES[index % TRADES.length];
    if (trade === undefined) throw new RangeError('no trades');
    const branch = Math.floor(index / TRADES.length) + 1;
    const slug = branch === 1 ? trade.slug : `${trade.slug}-${branch}`;
    return profile(trade, slug, branch, new Random(`${seed}:catalogue:${slug}`), accessToken);
  });
}

function profile(trade: Trade, slug: string, branch: number, random: Random, accessToken: string): StoreProfile {
  let nextId = 7_600_000_000_000 + random.between(0, 0xffff_ffff) * 100; // 13 digits, room for 100 ids per store
  const [taxRate, taxTitle, taxesIncluded] = trade.tax;
  const products = trade.range.map(([title, productType, vendor, priceMinor, options], row): Product => {
    const id = nextId++;
    const variants = (options.length === 0 ? [null] : options).map((option, column): Variant => {
      const sku = `${slug.slice(8, 11).toUpperCase()}-${String(row + 1).padStart(2, '0')}${column === 0 ? '' : `-${column + 1}`}`;
      const scale = option === '1 kg' ? 3.4 : 1;
      return {
        id: nextId++,
        title: option,
        sku,
        priceMinor: Math.round(priceMinor * scale),
        grams: random.between(1, 30) * 50,
      };
    });
    return { id, title, productType, vendor, variants };
  });
  return {
    domain: `${slug}.myshopify.com`,
    name: branch === 1 ? trade.name : `${trade.name} ${branch}`,
    shopId: 60_000_000_000 + random.between(0, 9_999_999_999),
    currency: trade.currency,
    foreign: trade.foreign,
    timeZone: trade.timeZone,
    country: trade.country,
    taxRate,
    taxTitle,
    taxesIncluded,
    products,
    accessToken,
    posShare: trade.posShare,
  };
}
