import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderMarkdown } from '../../src/console/runbooks/markdown.js';
import { readRunbook, readRunbooks } from '../../src/console/runbooks/shelf.js';
import { ConsoleApp } from './console-app.js';

let app: ConsoleApp;
beforeAll(async () => {
  app = await ConsoleApp.open({ databaseAway: true });
});
afterAll(() => app.close());

const shelf = readRunbooks();

describe('GET /runbooks', () => {
  it('lists every page without a token, and while the database is away', async () => {
    const answer = await fetch(`${app.url}/runbooks`);
    expect(answer.status).toBe(200);
    const page = await answer.text();
    for (const { name } of shelf) expect(page).toContain(`href="/runbooks/${name}"`);
    expect(page).toContain('<html lang="en">');
  });

  it.each(shelf.map(({ name }) => name))(
    'serves %s as text and links, with nothing that a browser would run',
    async (name) => {
      const answer = await fetch(`${app.url}/runbooks/${name}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'self';/);
      const page = await answer.text();
      expect(page).not.toMatch(/<script|<style|<img|<[^>]+\s(style|on[a-z]+)=/);
      expect(page.match(/<h1>/g)).toHaveLength(1);
      // Its links lead to pages that there are.
      const names = new Set(shelf.map((each) => each.name));
      for (const [, target = ''] of page.matchAll(/href="\/runbooks\/([^"#]+)/g)) {
        expect(target === 'style.css' || names.has(target) ? 'is there' : target).toBe('is there');
      }
      expect(page).not.toContain('.md"');
    },
  );

  it('answers 404 for a page that there is none of, and for a way out of the directory', async () => {
    for (const path of ['/runbooks/nothing', '/runbooks/..%2fREADME', '/runbooks/constructor']) {
      expect((await fetch(`${app.url}${path}`)).status).toBe(404);
    }
  });

  it('serves its own style, for light and dark', async () => {
    const answer = await fetch(`${app.url}/runbooks/style.css`);
    expect(answer.headers.get('content-type')).toContain('text/css');
    expect(await answer.text()).toContain('prefers-color-scheme: dark');
  });
});

describe('a page', () => {
  it('that holds HTML, a script address or a picture shows them as text', () => {
    const text =
      '<script>alert(1)</script>\n\na <b onclick="x()">b</b> [c](javascript:alert(1)) ![d](http://x.test/d.png) [e](../src/e.ts)\n\n' +
      '| f |\n| - |\n| <i>g</i> |\n\n```\n<h>\n```\n[j](k.md#l) [m](n.md) [o](https://o.test)';
    const { text: page } = renderMarkdown(text, new Set(['k']));
    expect(page).not.toMatch(/<(script|b|i|img|h)\b|javascript:|href="\.\./);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('<code>&lt;h&gt;</code>');
    expect(page).toContain('<a href="/runbooks/k#l">j</a>');
    expect(page).toContain('<a href="https://o.test">o</a>');
    expect(page).not.toContain('n.md');
  });

  it('without a title or front matter is refused', () => {
    expect(() => readRunbook('x', '# Title\n\ntext')).toThrow('front matter');
    expect(() => readRunbook('x', '---\nseverity: s\nfirstLook: f\n---\n\ntext')).toThrow('front matter');
  });
});
