/*
 * Arrays as PostgreSQL's wire has them in binary form. node-postgres sends a Buffer as a binary parameter, so a column
 * of values goes as one: a JavaScript array it writes as text, element by element with quotes, which costs three times
 * as much here and a parse at the server.
 *
 *   array   = i32 dimensions (1), i32 has nulls, i32 element type, i32 length, i32 lower bound (1), elements
 *   element = i32 bytes (-1 = null), bytes
 *
 * Source: PostgreSQL's array_recv and the receive functions of the element types
 */
const HEAD_BYTES = 20;
const NULL = -1;

/** Types by their number in pg_type, which never changes. */
const SMALLINT = 21;
const INTEGER = 23;
const BIGINT = 20;
const TEXT = 25;
const TID = 27;
const DATE = 1082;
const TIMESTAMPTZ = 1184;

const EPOCH_MS = Date.UTC(2000, 0, 1); // where PostgreSQL counts from
const DAY_MS = 86_400_000;
const WORD = 2 ** 32;
const EXACT_DIGITS = 15; // of an integer, as a double

/** @param values integers as decimal strings, each within 64 bits */
export function bigints(values: readonly string[]): Buffer {
  return fixed(BIGINT, 8, values, (array, at, value) => {
    if (value.length <= EXACT_DIGITS) writeInteger64(array, Number(value), at);
    else array.writeBigInt64BE(BigInt(value), at);
  });
}

export function smallints(values: readonly number[]): Buffer {
  return fixed(SMALLINT, 2, values, (array, at, value) => array.writeInt16BE(value, at));
}

export function integers(values: readonly number[]): Buffer {
  return fixed(INTEGER, 4, values, (array, at, value) => array.writeInt32BE(value, at));
}

/** @param values `YYYY-MM-DD` */
export function dates(values: readonly string[]): Buffer {
  // Neighbours are mostly of one day.
  let known = '';
  let days = 0;
  return fixed(DATE, 4, values, (array, at, value) => {
    if (value !== known) days = Math.round((Date.parse(value) - EPOCH_MS) / DAY_MS);
    known = value;
    array.writeInt32BE(days, at);
  });
}

export function instants(values: readonly (Date | null)[]): Buffer {
  return fixed(TIMESTAMPTZ, 8, values, (array, at, value) =>
    writeInteger64(array, (value.getTime() - EPOCH_MS) * 1000, at),
  );
}

/** @param values places of rows as PostgreSQL prints them: `(block,row)` */
export function tids(values: readonly string[]): Buffer {
  return fixed(TID, 6, values, (array, at, value) => {
    const comma = value.indexOf(',');
    array.writeUInt32BE(Number(value.slice(1, comma)), at);
    array.writeUInt16BE(Number(value.slice(comma + 1, -1)), at + 4);
  });
}

export function texts(values: readonly (string | null)[]): Buffer {
  let size = HEAD_BYTES;
  for (const value of values) size += 4 + (value === null ? 0 : 3 * value.length); // UTF-8 at its longest
  const array = Buffer.allocUnsafe(size);
  let at = HEAD_BYTES;
  let nulls = false;
  for (const value of values) {
    if (value === null) {
      nulls = true;
      at = array.writeInt32BE(NULL, at);
    } else {
      const bytes = array.write(value, at + 4);
      at = array.writeInt32BE(bytes, at) + bytes;
    }
  }
  writeHead(array, TEXT, values.length, nulls);
  return array.subarray(0, at);
}

function fixed<Value>(
  type: number,
  bytes: number,
  values: readonly (Value | null)[],
  write: (array: Buffer, at: number, value: Value) => void,
): Buffer {
  const array = Buffer.allocUnsafe(HEAD_BYTES + values.length * (4 + bytes));
  let at = HEAD_BYTES;
  let nulls = false;
  for (const value of values) {
    if (value === null) {
      nulls = true;
      at = array.writeInt32BE(NULL, at);
    } else {
      at = array.writeInt32BE(bytes, at);
      write(array, at, value);
      at += bytes;
    }
  }
  writeHead(array, type, values.length, nulls);
  return array.subarray(0, at);
}

function writeHead(array: Buffer, type: number, length: number, nulls: boolean): void {
  array.writeInt32BE(1, 0);
  array.writeInt32BE(nulls ? 1 : 0, 4);
  array.writeInt32BE(type, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
}

/** @param value a whole number that a double holds exactly */
function writeInteger64(array: Buffer, value: number, at: number): void {
  const high = Math.floor(value / WORD);
  array.writeInt32BE(high, at);
  array.writeUInt32BE(value - high * WORD, at + 4);
}
