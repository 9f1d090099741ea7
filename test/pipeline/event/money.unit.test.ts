import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, divide, isAmount, isZero, multiply, subtract } from '../../../src/pipeline/event/money.js';

const cents = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n });
const asAmount = (units: bigint): string => {
  const digits = (units < 0n ? -units : units).toString().padStart(3, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

describe('amounts', () => {
  it('add up exactly, however many and however large', () => {
    fc.assert(
      fc.property(fc.array(cents), (amounts) => {
        const sum = amounts.map(asAmount).reduce(add, '0.00');
        expect(sum).toBe(asAmount(amounts.reduce((a, b) => a + b, 0n)));
      }),
    );
  });

  it('multiply as repeated addition does', () => {
    fc.assert(
      fc.property(cents, fc.integer({ min: 0, max: 40 }), (units, times) => {
        const repeated = Array.from({ length: times }, () => asAmount(units)).reduce(add, '0.00');
        expect(multiply(asAmount(units), times)).toBe(times === 0 ? '0.00' : repeated);
      }),
    );
  });

  it.each([
    ['0.1', '0.2', '0.3'],
    ['10.00', '5', '15.00'],
    ['-0.05', '0.03', '-0.02'],
    ['9007199254740993.01', '0.01', '9007199254740993.02'],
    ['1.005', '1', '2.005'],
  ])('%s + %s = %s', (a, b, sum) => {
    expect(add(a, b)).toBe(sum);
    expect(subtract(sum, b)).toBe(add(a, multiply(b, 0)));
  });

  it.each([
    ['10.00', 3, 2, '3.33'],
    ['20.00', 3, 2, '6.67'],
    ['-20.00', 3, 2, '-6.67'],
    ['0.01', 2, 2, '0.01'],
    ['5', 2, 2, '2.50'],
    ['1.239', 1, 2, '1.24'],
  ])('%s / %i to %i digits = %s', (amount, parts, scale, share) => {
    expect(divide(amount, parts, scale)).toBe(share);
  });

  it('knows an amount from everything else', () => {
    expect(['0', '0.00', '-3', '12345678901234567890.123'].every(isAmount)).toBe(true);
    expect(['', '1,00', '1.', '.5', '1e3', 'NaN', '0x10', ' 1', '1'.repeat(40)].some(isAmount)).toBe(false);
    expect(isZero('-0.00')).toBe(true);
    expect(isZero('0.001')).toBe(false);
  });
});
