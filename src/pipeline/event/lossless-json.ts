/**
 * A number token of 16 digits or more stands after `:`, `[`, `,`, a space or a minus, or opens the text. The test may
 * say yes for digits inside a string; it never says no when there is such a number, so the fast path is safe.
 */
const MAYBE_LONG_NUMBER = /(?:^|[:[,\s-])\d{16}/;

/** A whole string, or a whole number, whichever comes first: digits inside a string are never looked at. */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Longer than this, an integer may not survive as a double (2^53 has 16 digits). */
const EXACT_DIGITS = 15;

const INTEGER = /^-?\d+$/;

/**
 * JSON.parse for bodies whose ids pass 2^53: an integer of more than 15 digits becomes a string with exactly its
 * digits; everything else is as JSON.parse has it.
 *
 * @throws SyntaxError as JSON.parse does, for the same texts
 */
export function parseLossless(text: string): unknown {
  const plain: unknown = JSON.parse(text);
  if (!MAYBE_LONG_NUMBER.test(text)) return plain;
  // The text is known to be valid JSON here. Quoting first and parsing after would make a bare 16-digit key valid.
  return JSON.parse(text.replace(STRING_OR_NUMBER, quoteLongInteger));
}

function quoteLongInteger(token: string): string {
  if (token.length <= EXACT_DIGITS || token.startsWith('"') || !INTEGER.test(token)) return token;
  const digits = token.startsWith('-') ? token.length - 1 : token.length;
  return digits > EXACT_DIGITS ? `"${token}"` : token;
}

const DECIMAL_ID = /^0*([1-9]\d{0,19})$/;
const GLOBAL_ID = /^gid:\/\/shopify\/[A-Za-z]+\/([1-9]\d{0,19})(?:\?.*)?$/;

/**
 * Shopify's id as a decimal string, from a number, a string of digits, or `gid://shopify/Order/123`.
 *
 * @returns `null` for anything else, and for a number that a double cannot hold exactly (it has been rounded already)
 */
export function idOf(value: unknown): string | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : null;
  if (typeof value !== 'string') return null;
  return DECIMAL_ID.exec(value)?.[1] ?? GLOBAL_ID.exec(value)?.[1] ?? null;
}
