import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOf, parseLossless } from '../../../src/pipeline/event/lossless-json.js';

describe('parseLossless', () => {
  it('keeps every digit of an integer that a double would round', () => {
    expect(parseLossless('{"id": 820982911946154508, "ids": [-9007199254740993,1]}')).toEqual({
      id: '820982911946154508',
      ids: ['-9007199254740993', 1],
    });
  });

  it('reads a long integer wherever it may stand', () => {
    expect(parseLossless('1234567890123456789')).toBe('1234567890123456789');
    expect(parseLossless('[1234567890123456789]')).toEqual(['1234567890123456789']);
    expect(parseLossless('{"a":\n\t1234567890123456789}')).toEqual({ a: '1234567890123456789' });
  });

  it('leaves decimals and exponents as JSON.parse has them', () => {
    const text = '[0.12345678901234567, 1234567890123456.5, 1e300, 12345678901234567e2]';
    expect(parseLossless(text)).toEqual(JSON.parse(text));
  });

  it('finds a long integer at every distance from the start, whatever long digits stand in strings before it', () => {
    for (let shift = 0; shift < 40; shift++) {
      for (const digits of ['1234567890123456', '12345678901234567890']) {
        const decoy = `${'x'.repeat(shift)}:${digits}9`;
        expect(parseLossless(`{"s":"${decoy}","n":${digits},"m":-${digits}}`)).toEqual({
          s: decoy,
          n: digits,
          m: `-${digits}`,
        });
      }
    }
  });

  it('does not touch digits inside strings, keys and escapes', () => {
    const text = String.raw`{"a\": 1234567890123456789":"x:1234567890123456789,\\","n":1234567890123456789}`;
    expect(parseLossless(text)).toEqual({
      'a": 1234567890123456789': 'x:1234567890123456789,\\',
      n: '1234567890123456789',
    });
  });

  it.each([
    '{1234567890123456789: 1}',
    '[01234567890123456789]',
    '[1234567890123456789x]',
    '{"a": 1234567890123456789',
    '"\\-9876543210987654321',
    '',
  ])('refuses what JSON.parse refuses: %s', (text) => {
    expect(() => parseLossless(text)).toThrow(SyntaxError);
  });

  it('equals JSON.parse for every value without long integers', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        if (/\d{16}/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'))) return;
        expect(parseLossless(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('equals JSON.parse with exact long integers, whatever strings stand around them', () => {
    const awkward = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('":1234567890123456789', '\\', '\\"', '1'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(awkward, fc.bigInt({ min: 10n ** 15n, max: 10n ** 20n }), awkward)), (entries) => {
        const text = `[${entries.map(([k, n, v]) => `{${JSON.stringify(`k${k}`)}:${n},"v":${JSON.stringify(v)}}`).join(',')}]`;
        expect(parseLossless(text)).toEqual(entries.map(([k, n, v]) => ({ [`k${k}`]: String(n), v })));
      }),
    );
  });
});

describe('parseLossless, broken texts', () => {
  it('throws for exactly the texts that JSON.parse throws for', () => {
    const pieces = fc.constantFrom(
      '1234567890123456789', '-9876543210987654321', '01234567890123456789', '"', '\\', '\\"', '"a"', '{', '}', '[', ']', ':', ',',
      ' ', '\n', '-', '.', 'e', '0', '1', 'null', '"k":', '[1234567890123456789]',
    ); // prettier-ignore
    const outcome = (parse: (text: string) => unknown, text: string): string => {
      try {
        parse(text);
        return 'valid';
      } catch (error) {
        return (error as Error).name;
      }
    };
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 9 }), (parts) => {
        const text = parts.join('');
        expect(outcome(parseLossless, text)).toBe(outcome(JSON.parse, text));
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('idOf', () => {
  it.each([
    [450789469, '450789469'],
    ['820982911946154508', '820982911946154508'],
    ['gid://shopify/Order/820982911946154508', '820982911946154508'],
    ['gid://shopify/InventoryLevel/12?inventory_item_id=3', '12'],
    [0, null],
    [-5, null],
    [1.5, null],
    [2 ** 60, null],
    ['12a', null],
    ['', null],
    [null, null],
    [{}, null],
    [[1], null],
    [true, null],
  ])('of %j is %j', (value, id) => {
    expect(idOf(value)).toBe(id);
  });
});
