import { Marked } from 'marked';
import { Html, html } from '../../kernel/html.js';

/**
 * Our own pages as HTML. What a page writes as HTML itself is shown as text, an address leads nowhere but to the web or to
 * another page of ours, and every value is escaped: a page cannot become more than text and links.
 *
 * @param pages names that links may lead to
 */
export function renderMarkdown(markdown: string, pages: ReadonlySet<string>): Html {
  const marked = new Marked({
    gfm: true,
    renderer: {
      html: ({ text }) => html`${text}`.text,
      image: ({ text }) => html`${text}`.text,
      heading({ tokens, depth, text }) {
        const tag = `h${Math.min(6, depth)}`;
        return `<${tag} id="${html`${anchorOf(text)}`.text}">${this.parser.parseInline(tokens)}</${tag}>\n`;
      },
      link({ href, tokens }) {
        const words = this.parser.parseInline(tokens);
        const target = targetOf(href, pages);
        return target === null ? words : html`<a href="${target}">${new Html(words)}</a>`.text;
      },
      // Wide ones scroll by themselves, by the keyboard too, so that the page does not.
      table(token) {
        const cells = (row: typeof token.header, tag: string): string =>
          row.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('');
        const head = `<thead><tr>${cells(token.header, 'th')}</tr></thead>`;
        const body = token.rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('');
        return `<div class="wide" tabindex="0"><table>${head}<tbody>${body}</tbody></table></div>\n`;
      },
      code: ({ text }) => html`<pre><code>${text}</code></pre> `.text,
    },
  });
  return new Html(marked.parse(markdown, { async: false }));
}

/** @returns `null` for what lies in the project and is not served */
function targetOf(href: string, pages: ReadonlySet<string>): string | null {
  if (/^https?:\/\//.test(href) || href.startsWith('#')) return href;
  const [, name = '', anchor = ''] = /^([a-z0-9-]+)\.md(#.*)?$/i.exec(href) ?? [];
  if (name === 'README') return '/runbooks';
  return pages.has(name) ? `/runbooks/${name}${anchor}` : null;
}

/** As GitHub makes it, so that a link within the pages works here and there. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}
