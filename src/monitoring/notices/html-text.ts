/** Elements that begin a new line; the others run on. */
const BLOCKS = new Set(
  'address article blockquote br dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li main ol p pre section table td th tr ul'.split(
    ' ',
  ),
);
/** Elements whose content nobody reads. */
const UNREAD = new Set(['script', 'style', 'template', 'title']);

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  gt: '>',
  hellip: '…',
  lt: '<',
  nbsp: ' ',
  quot: '"',
  rsquo: "'",
  shy: '',
};

/**
 * What a person would read of an HTML mail. A link whose words are no address is given as the address it leads to.
 * Takes time in proportion to the length, whatever the HTML.
 */
export function textOfHtml(html: string): string {
  const parts: string[] = [];
  let unread: string | null = null;
  let link: { href: string; at: number } | null = null;
  let at = 0;
  const say = (text: string): void => {
    if (unread === null && text !== '') parts.push(decode(text));
  };
  const endLink = (): void => {
    if (link === null) return;
    const words = parts.splice(link.at).join('');
    parts.push(/^\s*https?:\/\/[^\s…]*[^\s….]\s*$/.test(words) || link.href === '' ? words : link.href);
    link = null;
  };
  while (at < html.length) {
    const open = html.indexOf('<', at);
    if (open === -1) break;
    say(html.slice(at, open));
    const isComment = html.startsWith('<!--', open);
    const end = isComment ? html.indexOf('-->', open + 4) : html.indexOf('>', open);
    if (end === -1) {
      at = open; // no further tag can be closed: the rest is text
      break;
    }
    at = end + (isComment ? 3 : 1);
    if (isComment) continue;
    const [, slash = '', name = ''] = /^<(\/?)([a-zA-Z][a-zA-Z0-9]*)/.exec(html.slice(open, open + 32)) ?? [];
    const element = name.toLowerCase();
    if (element === '') {
      if (!/^<[!?/]/.test(html.slice(open, open + 2))) say(html.slice(open, at)); // "a < b" is text
      continue;
    }
    if (unread !== null) {
      if (slash !== '' && element === unread) unread = null;
      continue;
    }
    if (UNREAD.has(element) && slash === '') unread = element;
    else if (element === 'a') {
      endLink();
      if (slash === '') link = { href: hrefOf(html.slice(open, at)), at: parts.length };
    } else if (BLOCKS.has(element)) parts.push('\n');
  }
  say(html.slice(at));
  endLink();
  return parts.join('');
}

function hrefOf(tag: string): string {
  const [, , double, single, bare] = /\shref\s*=\s*("([^"]*)"|'([^']*)'|([^\s>]+))/i.exec(tag) ?? [];
  const href = decode(double ?? single ?? bare ?? '').trim();
  return /^https?:\/\//i.test(href) ? href : '';
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));/g, (whole, decimal, hex, name) => {
    if (typeof name === 'string') return ENTITIES[name.toLowerCase()] ?? whole;
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
