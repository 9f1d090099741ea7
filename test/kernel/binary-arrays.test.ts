import { describe, expect, it } from 'vitest';
import { bigints, dates, instants, integers, smallints, texts, tids } from '../../src/kernel/binary-arrays.js';
import { testDatabase } from '../support/test-database.js';

const { database } = await testDatabase();

/** What PostgreSQL reads in an array, as it prints it. */
async function readAs(type: string, array: Buffer): Promise<unknown> {
  const [row] = await database.rows<{ read: unknown }>(
    `select array(select element::text from unnest($1::${type}[]) as element) as read`,
    [array],
  );
  return row?.read;
}

describe('an array in binary form', () => {
  it.each<[string, Buffer, (string | null)[]]>([
    ['smallint', smallints([1, -2, 32_767]), ['1', '-2', '32767']],
    ['integer', integers([0, -7, 2_147_483_647]), ['0', '-7', '2147483647']],
    [
      'bigint',
      bigints(['0', '-5', '4294967296', '999999999999999', '1764000000123456', '9223372036854775807']),
      ['0', '-5', '4294967296', '999999999999999', '1764000000123456', '9223372036854775807'],
    ],
    ['bigint', bigints(['-4294967297', '-9223372036854775808']), ['-4294967297', '-9223372036854775808']],
    ['text', texts(['', 'a"b\\c,{}', 'NULL', null, 'é👕']), ['', 'a"b\\c,{}', 'NULL', null, 'é👕']],
    ['date', dates(['1970-01-01', '2000-01-01', '2026-11-23']), ['1970-01-01', '2000-01-01', '2026-11-23']],
    ['tid', tids(['(0,1)', '(4294967294,65535)']), ['(0,1)', '(4294967294,65535)']],
    ['text', texts([]), []],
  ])('of %s is what PostgreSQL reads', async (type, array, read) => {
    expect(await readAs(type, array)).toEqual(read);
  });

  it('holds instants to the millisecond, before and after 2000, and none', async () => {
    const given = [new Date('1969-12-31T23:59:59.999Z'), new Date('2026-11-23T10:00:00.123Z'), null];
    const [row] = await database.rows<{ read: unknown }>('select $1::timestamptz[] as read', [instants(given)]);
    expect(row?.read).toEqual(given);
  });
});
