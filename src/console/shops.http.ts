import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Caller } from '../kernel/auth.js';
import type { ShopView } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { written } from './refusal.js';
import { domain, instant, instantOrNull, listOf, origin, pageByName, paging, world } from './shapes.js';

export const shopShape = z.strictObject({
  domain: z.string(),
  world,
  origin: origin.meta({ description: 'file = declared in the configuration file, read-only here.' }),
  webhookPath: z.string().meta({ description: "The shop's own callback path." }),
  adminUrl: z.string().nullable(),
  accessTokenSet: z.boolean(),
  subscriptions: z.enum(['shop', 'app']),
  settings: z.record(z.string(), z.unknown()),
  destinations: z.array(z.string()),
  uninstalledAt: instantOrNull,
  createdAt: instant,
  updatedAt: instant,
});

const params = z.strictObject({ domain });
// The registry checks the keys, with the rules of the configuration file.
const body = z.record(z.string(), z.unknown()).meta({ description: 'Keys as in the configuration file under shops.' });
const NO_SHOP = { 404: 'There is no such shop.' };

const LIST = {
  method: 'GET',
  path: '/api/v1/shops',
  summary: 'The shops',
  role: 'viewer',
  query: z.strictObject(paging),
  answer: listOf(shopShape),
} satisfies EndpointSpec;
const GET = {
  method: 'GET',
  path: '/api/v1/shops/:domain',
  summary: 'One shop',
  role: 'viewer',
  params,
  answer: shopShape,
  problems: NO_SHOP,
} satisfies EndpointSpec;
const CREATE = {
  method: 'POST',
  path: '/api/v1/shops',
  summary: 'Connect a shop',
  role: 'admin',
  body,
  answer: shopShape,
  status: 201,
  problems: { 409: 'It is connected already.' },
} satisfies EndpointSpec;
const UPDATE = {
  method: 'PATCH',
  path: '/api/v1/shops/:domain',
  summary: 'Change a shop; null takes a value away',
  role: 'admin',
  params,
  body,
  answer: shopShape,
  problems: { ...NO_SHOP, 409: 'The configuration file declares it.' },
} satisfies EndpointSpec;
const UNINSTALL = {
  method: 'DELETE',
  path: '/api/v1/shops/:domain',
  summary: 'Mark a shop as uninstalled; nothing is deleted, because the ledger refers to it',
  role: 'admin',
  params,
  answer: shopShape,
  problems: NO_SHOP,
} satisfies EndpointSpec;

type Shown = Omit<ShopView, 'key'> & { webhookPath: string };
const shown = ({ key, ...view }: ShopView): Shown => ({ ...view, webhookPath: `/webhooks/shopify/${key}` });

@Controller()
export class ShopsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  async list(@Input() { query }: InputOf<typeof LIST>): Promise<{ items: Shown[]; nextCursor: string | null }> {
    return pageByName((await this.deps.registry.shops()).map(shown), (each) => each.domain, query);
  }

  @Endpoint(GET)
  async get(@Input() { params }: InputOf<typeof GET>): Promise<Shown> {
    const found = (await this.deps.registry.shops()).find((each) => each.domain === params.domain);
    if (!found) throw new Problem(404, `There is no shop ${params.domain}.`);
    return shown(found);
  }

  @Endpoint(CREATE)
  async create(@Input() { body }: InputOf<typeof CREATE>, @By() caller: Caller): Promise<Shown> {
    return shown(written(await this.deps.registry.createShop(body, caller.name), 'such shop'));
  }

  @Endpoint(UPDATE)
  async update(@Input() { params, body }: InputOf<typeof UPDATE>, @By() caller: Caller): Promise<Shown> {
    return shown(
      written(await this.deps.registry.updateShop(params.domain, body, caller.name), `shop ${params.domain}`),
    );
  }

  @Endpoint(UNINSTALL)
  async uninstall(@Input() { params }: InputOf<typeof UNINSTALL>, @By() caller: Caller): Promise<Shown> {
    return shown(written(await this.deps.registry.uninstallShop(params.domain, caller.name), `shop ${params.domain}`));
  }
}
