import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/kernel/config.js';
import { STATUS_PAGE_SECTIONS } from '../../src/status-page/config.js';

function load(yaml: string) {
  const cwd = mkdtempSync(join(tmpdir(), 'plumbline-config-'));
  writeFileSync(join(cwd, 'plumbline.yaml'), yaml);
  return loadConfig({}, { sections: STATUS_PAGE_SECTIONS, cwd });
}

describe('the status page’s section', () => {
  it('may be left out', () => {
    expect(load('').config?.file.statusPage).toEqual({ title: 'Plumbline', components: {} });
  });

  it('takes names of components, and an address without a slash at its end', () => {
    const { config, faults } = load(`statusPage:
  title: Acme Orders
  url: https://status.acme.example/
  contact: mailto:help@acme.example
  components: {intake: {name: Webhooks}, delivery:ga4: {description: To Google.}}
`);
    expect(faults).toBeUndefined();
    expect(config?.file.statusPage).toEqual({
      title: 'Acme Orders',
      url: 'https://status.acme.example',
      contact: 'mailto:help@acme.example',
      components: { intake: { name: 'Webhooks' }, 'delivery:ga4': { description: 'To Google.' } },
    });
  });

  it('names every fault at once', () => {
    const { faults } = load(`statusPage:
  title: ""
  url: status.acme.example
  contact: javascript:alert(1)
  components: {checkout: {name: x}}
  colour: green
`);
    expect(faults?.map(({ key }) => key).sort()).toEqual([
      'statusPage.colour',
      'statusPage.components.checkout',
      'statusPage.contact',
      'statusPage.title',
      'statusPage.url',
    ]);
  });
});
