/**
 * A whole string, or a whole number, whichever comes first: digits inside a string are never looked at. A string that
 * is not closed takes everything to the end, so that nothing is quoted inside it either.
 */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Longer than this, an integer may not survive as a double (2^53 has 16 digits). */
const EXACT_DIGITS = 15;

/** What may stand before the first digit of a number token, unless it opens the text. */
const BEFORE_NUMBER: ReadonlySet<number> = new Set([...':[,- \t\n\r'].map((char) => char.charCodeAt(0)));

const INTEGER = /^-?[1-9]\d*$/;

/**
 * JSON.parse for bodies whose ids pass 2^53: an integer of more than 15 digits becomes a string with exactly its
 * digits; everything else is as JSON.parse has it.
 *
 * @throws SyntaxError for the texts that JSON.parse throws for
 */
export function parseLossless(text: string): unknown {
  return JSON.parse(losslessText(text));
}

/** The text that JSON.parse reads losslessly: long integers quoted, all else as it was. */
export function losslessText(text: string): string {
  return mayHoldLongInteger(text) ? text.replace(STRING_OR_NUMBER, quoteLongInteger) : text;
}

/**
 * May say yes for digits inside a string; never says no when there is a long integer, so the fast path is safe. A run
 * of 16 digits covers every 16th character at least once: looking at those alone costs a third of a search by RegExp.
 */
function mayHoldLongInteger(text: string): boolean {
  for (let probe = EXACT_DIGITS; probe < text.length; probe += EXACT_DIGITS + 1) {
    if (!isDigit(text.charCodeAt(probe))) continue;
    let start = probe;
    while (isDigit(text.charCodeAt(start - 1))) start--;
    let end = probe + 1;
    while (isDigit(text.charCodeAt(end))) end++;
    if (end - start > EXACT_DIGITS && (start === 0 || BEFORE_NUMBER.has(text.charCodeAt(start - 1)))) return true;
  }
  return false;
}

/** @param code NaN (outside of the text) is none */
function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/**
 * Quoting must not make a valid text of an invalid one. Two could become valid and are left as they are: a number in
 * the place of a key, and one with a leading zero.
 */
function quoteLongInteger(token: string, offset: number, text: string): string {
  if (token.length <= EXACT_DIGITS || token.startsWith('"') || !INTEGER.test(token)) return token;
  const digits = token.startsWith('-') ? token.length - 1 : token.length;
  if (digits <= EXACT_DIGITS || isKey(text, offset + token.length)) return token;
  return `"${token}"`;
}

function isKey(text: string, end: number): boolean {
  let next = end;
  while (' \t\n\r'.includes(text.charAt(next)) && next < text.length) next++;
  return text.charAt(next) === ':';
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
