import { losslessText } from './lossless-json.js';

/*
 * Reads of a JSON text only what is wanted. An order has some 330 values and a reader looks at 70 of them: building the
 * others is two thirds of what JSON.parse costs, and most of what it leaves to the garbage collector.
 */

/** What is wanted of a value: all of it, some fields of an object, or some fields of each object in a list. */
export type Wanted = true | WantedFields | readonly [WantedFields];
export interface WantedFields {
  readonly [key: string]: Wanted;
}

/** What was wanted of a text, as `parseLossless` would have it. A key that is not there is undefined. */
export interface WantedPart {
  fields: Readonly<Record<string, unknown>>;
  /** The text has keys that are not wanted. */
  hasOthers: boolean;
}

interface WantedKey {
  name: string;
  bytes: Uint8Array;
  plan: WantedPlan | null;
  isList: boolean;
}

/** Wanted fields, made ready to be looked up by the bytes of a key. */
export class WantedPlan {
  private readonly keys: (WantedKey[] | undefined)[] = new Array<WantedKey[] | undefined>(KEYS_SIZE).fill(undefined);
  /** All objects read by one plan begin with all of its keys, so that they are of one shape for the compiler. */
  readonly blank: Readonly<Record<string, unknown>>;

  constructor(wanted: WantedFields) {
    this.blank = Object.fromEntries(Object.keys(wanted).map((name) => [name, undefined]));
    for (const [name, value] of Object.entries(wanted)) {
      const bytes = new Uint8Array(Buffer.from(name));
      const within = value === true ? null : isList(value) ? value[0] : value;
      const key: WantedKey = { name, bytes, plan: within && new WantedPlan(within), isList: isList(value) };
      (this.keys[placeOf(bytes, 0, bytes.length)] ??= []).push(key);
    }
  }

  find(bytes: Uint8Array, from: number, to: number): WantedKey | null {
    const candidates = this.keys[placeOf(bytes, from, to)];
    if (candidates === undefined) return null;
    for (const candidate of candidates) if (isAt(candidate.bytes, bytes, from, to)) return candidate;
    return null;
  }
}

const KEYS_SIZE = 1024;

function placeOf(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  if (length === 0) return 0;
  const [first, middle, last] = [bytes[from] ?? 0, bytes[from + (length >> 1)] ?? 0, bytes[to - 1] ?? 0];
  return (31 * length + 7 * first + 3 * middle + 13 * last) & (KEYS_SIZE - 1);
}

function isAt(key: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (key.length !== to - from) return false;
  for (let at = 0; at < key.length; at++) if (key[at] !== bytes[from + at]) return false;
  return true;
}

function isList(wanted: Wanted): wanted is readonly [WantedFields] {
  return Array.isArray(wanted);
}

/**
 * Reads what is wanted, and makes sure that all the rest is JSON as well.
 *
 * @param bytes UTF-8 without a byte order mark
 * @returns `null` for what is no JSON object, and for rare forms of one: let JSON.parse judge
 */
export function readWanted(bytes: Buffer, plan: WantedPlan): WantedPart | null {
  try {
    return new Scan(bytes).whole(plan);
  } catch (error) {
    if (error === NOT_SURE) return null;
    throw error;
  }
}

const NOT_SURE = new Error('JSON.parse must judge');
const DEPTH_MAX = 64;
const EXACT_DIGITS = 15;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 0x7b;
const LIST = 0x5b;
const TO_END = 2; // from either opening bracket's code to its closing one's
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const SPACE = 0x20;

/** Bytes a string may hold as they are; those from 0x80 on are parts of longer characters. */
const IN_STRING = bytesWhere((byte) => byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH);
const IN_ASCII_STRING = bytesWhere((byte) => byte < 0x80 && IN_STRING[byte] === 1);
const IS_DIGIT = bytesWhere((byte) => byte >= ZERO && byte < ZERO + 10);
const IS_HEX = bytesWhere((byte) => /[0-9a-fA-F]/.test(String.fromCharCode(byte)));
const IS_SHORT_ESCAPE = bytesWhere((byte) => '"\\/bfnrt'.includes(String.fromCharCode(byte)));

function bytesWhere(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (holds(byte) ? 1 : 0));
}

// Functions that take `at` say where what begins there ends, and throw NOT_SURE where nothing of the kind does.

function spaceEnd(bytes: Uint8Array, at: number): number {
  for (;;) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

/** @param at behind the opening quote @returns behind the closing one */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (;;) {
    while (IN_STRING[bytes[at] as number] === 1) at++;
    if (bytes[at] === QUOTE) return at + 1;
    at = escapeEnd(bytes, at);
  }
}

function escapeEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== BACKSLASH) throw NOT_SURE;
  if (IS_SHORT_ESCAPE[bytes[at + 1] as number] === 1) return at + 2;
  if (bytes[at + 1] !== 0x75) throw NOT_SURE;
  for (let hex = at + 2; hex < at + 6; hex++) if (IS_HEX[bytes[hex] as number] !== 1) throw NOT_SURE;
  return at + 6;
}

function digitsEnd(bytes: Uint8Array, at: number): number {
  if (IS_DIGIT[bytes[at] as number] !== 1) throw NOT_SURE;
  do at++;
  while (IS_DIGIT[bytes[at] as number] === 1);
  return at;
}

function integerEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] === MINUS) at++;
  return bytes[at] === ZERO ? at + 1 : digitsEnd(bytes, at);
}

function fractionEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] === POINT) at = digitsEnd(bytes, at + 1);
  if (bytes[at] !== 0x65 && bytes[at] !== 0x45) return at;
  const sign = bytes[at + 1];
  return digitsEnd(bytes, sign === 0x2b || sign === MINUS ? at + 2 : at + 1);
}

function scalarEnd(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case QUOTE:
      return stringEnd(bytes, at + 1);
    case 0x6e:
      return wordEnd(bytes, at, 0x75, 0x6c, 0x6c);
    case 0x74:
      return wordEnd(bytes, at, 0x72, 0x75, 0x65);
    case 0x66:
      return wordEnd(bytes, at + 1, 0x6c, 0x73, 0x65, 0x61);
    default:
      return fractionEnd(bytes, integerEnd(bytes, at));
  }
}

/** null, true, and false without its f. @param first what must stand at `at`, where it is not known yet */
function wordEnd(bytes: Uint8Array, at: number, second: number, third: number, fourth: number, first?: number): number {
  if (first !== undefined && bytes[at] !== first) throw NOT_SURE;
  if (bytes[at + 1] !== second || bytes[at + 2] !== third || bytes[at + 3] !== fourth) throw NOT_SURE;
  return at + 4;
}

/** @returns behind the colon */
function keyEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) throw NOT_SURE;
  const end = spaceEnd(bytes, stringEnd(bytes, at + 1));
  if (bytes[end] !== COLON) throw NOT_SURE;
  return end + 1;
}

/** Brackets that are open, innermost last. One is enough: reading is never interrupted. */
const open = new Uint8Array(DEPTH_MAX);

function valueEnd(bytes: Uint8Array, at: number): number {
  let depth = 0;
  for (;;) {
    at = spaceEnd(bytes, at);
    const bracket = bytes[at];
    if (bracket === OBJECT || bracket === LIST) {
      at = spaceEnd(bytes, at + 1);
      if (bytes[at] === bracket + TO_END) {
        at++;
      } else {
        if (depth === DEPTH_MAX) throw NOT_SURE;
        open[depth++] = bracket;
        if (bracket === OBJECT) at = keyEnd(bytes, at);
        continue;
      }
    } else {
      at = scalarEnd(bytes, at);
    }
    for (;;) {
      if (depth === 0) return at;
      at = spaceEnd(bytes, at);
      const innermost = open[depth - 1] as number;
      if (bytes[at] === COMMA) {
        at++;
        if (innermost === OBJECT) at = keyEnd(bytes, spaceEnd(bytes, at));
        break;
      }
      if (bytes[at] !== innermost + TO_END) throw NOT_SURE;
      depth--;
      at++;
    }
  }
}

class Scan {
  private at = 0;
  private hasOthers = false;

  constructor(private readonly bytes: Buffer) {}

  whole(plan: WantedPlan): WantedPart {
    const { bytes } = this;
    // Also the end of all reading: reading past the end once would make every later reading slower for the compiler.
    if (bytes[0] !== OBJECT || bytes[bytes.length - 1] !== OBJECT + TO_END) throw NOT_SURE;
    const fields = this.object(plan);
    if (this.at !== bytes.length) throw NOT_SURE;
    return { fields, hasOthers: this.hasOthers };
  }

  /** From the opening bracket on. */
  private object(plan: WantedPlan): Record<string, unknown> {
    const { bytes } = this;
    const fields: Record<string, unknown> = Object.assign({}, plan.blank);
    let at = spaceEnd(bytes, this.at + 1);
    if (bytes[at] === OBJECT + TO_END) {
      this.at = at + 1;
      return fields;
    }
    for (;;) {
      if (bytes[at] !== QUOTE) throw NOT_SURE;
      const keyAt = ++at;
      while (IN_STRING[bytes[at] as number] === 1) at++;
      if (bytes[at] !== QUOTE) throw NOT_SURE; // an escape may spell a wanted key
      const key = plan.find(bytes, keyAt, at);
      at = spaceEnd(bytes, at + 1);
      if (bytes[at] !== COLON) throw NOT_SURE;
      if (key === null) {
        this.hasOthers = true;
        at = valueEnd(bytes, at + 1);
      } else {
        this.at = spaceEnd(bytes, at + 1);
        fields[key.name] = this.value(key);
        ({ at } = this);
      }
      at = spaceEnd(bytes, at);
      if (bytes[at] === COMMA) {
        at = spaceEnd(bytes, at + 1);
        continue;
      }
      if (bytes[at] !== OBJECT + TO_END) throw NOT_SURE;
      this.at = at + 1;
      return fields;
    }
  }

  private value({ plan, isList }: WantedKey): unknown {
    const first = this.bytes[this.at];
    if (plan !== null && isList && first === LIST) return this.list(plan);
    if (plan !== null && !isList && first === OBJECT) return this.object(plan);
    return this.all();
  }

  private list(plan: WantedPlan): unknown[] {
    const { bytes } = this;
    const values: unknown[] = [];
    this.at = spaceEnd(bytes, this.at + 1);
    if (bytes[this.at] === LIST + TO_END) {
      this.at++;
      return values;
    }
    for (;;) {
      values.push(bytes[this.at] === OBJECT ? this.object(plan) : this.all());
      this.at = spaceEnd(bytes, this.at);
      const next = bytes[this.at];
      if (next !== COMMA && next !== LIST + TO_END) throw NOT_SURE;
      this.at++;
      if (next !== COMMA) return values;
      this.at = spaceEnd(bytes, this.at);
    }
  }

  private all(): unknown {
    const { bytes } = this;
    const from = this.at;
    const first = bytes[from];
    if (first === QUOTE) return this.text();
    this.at = valueEnd(bytes, from);
    if (first === OBJECT || first === LIST) return JSON.parse(losslessText(utf8(bytes, from, this.at)));
    if (first === 0x6e) return null;
    if (first === 0x74) return true;
    if (first === 0x66) return false;
    return numberOf(bytes, from, this.at);
  }

  private text(): string {
    const { bytes } = this;
    const from = this.at + 1;
    let at = from;
    while (IN_ASCII_STRING[bytes[at] as number] === 1) at++;
    if (bytes[at] === QUOTE) {
      this.at = at + 1;
      return at - from <= SHORT_MAX ? shortText(bytes, from, at) : latin1(bytes, from, at);
    }
    this.at = stringEnd(bytes, at);
    const text = utf8(bytes, from, this.at - 1);
    return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
  }
}

const SHORT_MAX = 12;
const SHORT_SIZE = 1024;
/** Short texts made before, by their bytes: an order says its currency and each of its amounts many times. */
const shortTexts = new Array<string>(SHORT_SIZE).fill('');

/** @param bytes ASCII from `from` to `to` */
function shortText(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  let place = length;
  for (let at = from; at < to; at++) place = (31 * place + (bytes[at] as number)) & (SHORT_SIZE - 1);
  const known = shortTexts[place] as string;
  if (known.length === length) {
    let at = 0;
    while (at < length && known.charCodeAt(at) === bytes[from + at]) at++;
    if (at === length) return known;
  }
  return (shortTexts[place] = latin1(bytes, from, to));
}

/** A number; its digits, where it is an integer that a double may not hold exactly. */
function numberOf(bytes: Buffer, from: number, to: number): number | string {
  if (to - from <= EXACT_DIGITS) {
    let value = 0;
    let at = from;
    for (; IS_DIGIT[bytes[at] as number] === 1; at++) value = 10 * value + (bytes[at] as number) - ZERO;
    if (at === to) return value;
  }
  const text = latin1(bytes, from, to);
  const digits = text.startsWith('-') ? text.length - 1 : text.length;
  return digits > EXACT_DIGITS && integerEnd(bytes, from) === to ? text : Number(text);
}

function latin1(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to);
}

function utf8(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', from, to);
}
