import type { Random } from '../random.js';

/** A customer as an order and customers/create show it. Every name is made up, every address ends in `.test`. */
export interface Customer {
  id: number;
  createdAtMs: number;
  firstName: string;
  lastName: string;
  email: string;
  phone: string | null;
  addressId: number;
  address: Address;
  numberOfOrders: number;
}

export interface Address {
  first_name: string;
  address1: string;
  phone: string | null;
  city: string;
  zip: string;
  province: string | null;
  country: string;
  last_name: string;
  address2: string | null;
  company: string | null;
  latitude: number | null;
  longitude: number | null;
  name: string;
  country_code: string;
  province_code: string | null;
}

interface Land {
  name: string;
  dial: string;
  places: readonly (readonly [city: string, zip: string, province: string | null, code: string | null])[];
  streets: readonly string[];
}

const LANDS: Record<string, Land> = {
  US: {
    name: 'United States',
    dial: '+1555',
    places: [
      ['Portland', '04101', 'Maine', 'ME'],
      ['Brooklyn', '11201', 'New York', 'NY'],
      ['Savannah', '31401', 'Georgia', 'GA'],
    ],
    streets: ['Wharf Street', 'Juniper Avenue', 'Mill Road'],
  },
  CA: {
    name: 'Canada',
    dial: '+1555',
    places: [
      ['Halifax', 'B3H 4R2', 'Nova Scotia', 'NS'],
      ['Montréal', 'H2Y 1C6', 'Quebec', 'QC'],
    ],
    streets: ['Rue des Érables', 'Spring Garden Road'],
  },
  DE: {
    name: 'Germany',
    dial: '+4930',
    places: [
      ['München', '80331', null, null],
      ['Köln', '50667', null, null],
    ],
    streets: ['Lindenstraße', 'Am Bach', 'Gärtnerweg'],
  },
  CH: { name: 'Switzerland', dial: '+4144', places: [['Zürich', '8001', 'Zürich', 'ZH']], streets: ['Seeweg'] },
  GB: {
    name: 'United Kingdom',
    dial: '+4420',
    places: [['Leeds', 'LS1 4AP', 'England', 'ENG']],
    streets: ['Albion Lane'],
  },
  JP: {
    name: 'Japan',
    dial: '+8130',
    places: [
      ['渋谷区', '150-0001', 'Tōkyō', 'JP-13'],
      ['京都市', '600-8001', 'Kyōto', 'JP-26'],
    ],
    streets: ['神宮前 1-2-', '四条通 3-'],
  },
};

const FIRST = ['Ada', 'Bram', 'Chiyo', 'Dévi', 'Elif', 'Finn', 'Greta', 'Hana', 'Ines', 'Jonas', 'Kofi', 'Lena', 'Mio'];
const LAST = ["O'Hara", 'Nakamura', 'Müller', 'Øster', 'Lindqvist', 'Baker', 'Sato', 'Weiß', 'Moreau', 'Achebe', 'Kim'];

export function newCustomer(country: string, random: Random, atMs: number, nextId: () => number): Customer {
  const firstName = random.pick(FIRST);
  const lastName = random.pick(LAST);
  const id = nextId();
  const phone = random.chance(0.4) ? phoneIn(country, random) : null;
  return {
    id,
    createdAtMs: atMs,
    firstName,
    lastName,
    email: `${ascii(firstName)}.${ascii(lastName)}.${id % 1_000_000}@shopper.test`,
    phone,
    addressId: nextId(),
    address: addressIn(country, firstName, lastName, random),
    numberOfOrders: 0,
  };
}

function addressIn(country: string, firstName: string, lastName: string, random: Random): Address {
  const land = LANDS[country];
  if (land === undefined) throw new RangeError(`no addresses in ${country}`);
  const [city, zip, province, provinceCode] = random.pick(land.places);
  return {
    first_name: firstName,
    address1: `${random.between(1, 240)} ${random.pick(land.streets)}`,
    phone: random.chance(0.5) ? phoneIn(country, random) : null,
    city,
    zip,
    province,
    country: land.name,
    last_name: lastName,
    address2: random.chance(0.15) ? 'Second floor' : null,
    company: random.chance(0.1) ? `${lastName} & Co` : null,
    latitude: random.between(30_000_000, 60_000_000) / 1_000_000,
    longitude: random.between(-90_000_000, 90_000_000) / 1_000_000,
    name: `${firstName} ${lastName}`,
    country_code: country,
    province_code: provinceCode,
  };
}

function phoneIn(country: string, random: Random): string {
  return `${LANDS[country]?.dial ?? '+1555'}${random.between(1_000_000, 9_999_999)}`;
}

/** Letters an address may hold: Shopify normalises none of them, but a mailbox name keeps to ASCII here. */
function ascii(name: string): string {
  return name
    .normalize('NFD')
    .replace(/ß/g, 'ss')
    .replace(/Ø/g, 'O')
    .replace(/[^A-Za-z]/g, '')
    .toLowerCase();
}
