import { z } from 'zod';
import { didYouMean, issuesToFaults, keyOf } from '../../kernel/config-faults.js';
import { destinationSchema, shopSchema, type DestinationDeclaration, type ShopDeclaration } from '../config.js';
import type { DestinationView, RegistryDesk, SettingFault, ShopView, Written } from '../contract.js';
import { disabledByOperator } from './declared.js';
import { readDestinationViews, readShopViews } from './registry-views.js';
import { writeRegistry, type RegistryTransaction, type WriterDeps } from './registry-writer.js';
import type { ShopEntity } from './shop.entity.js';

type Input = Readonly<Record<string, unknown>>;
type Refusal = Exclude<Written<never>, { ok: true }>;

const refused = (refusal: Refusal['refusal'], ...faults: SettingFault[]): Refusal => ({ ok: false, refusal, faults });
const READ_ONLY = refused('read-only', {
  key: '',
  message: 'the configuration file declares it; change it there and start again',
});

/** The people's side of the registry: views without secrets, and writes with the rules of the configuration file. */
export class Desk implements RegistryDesk {
  /** @param changed called after every committed write, so that this process sees it at once */
  constructor(
    private readonly deps: WriterDeps,
    private readonly changed: () => Promise<void>,
  ) {}

  shops(): Promise<ShopView[]> {
    return readShopViews(this.deps.source.manager);
  }

  destinations(): Promise<DestinationView[]> {
    return readDestinationViews(this.deps.source.manager, this.deps.stored);
  }

  createShop(input: Input, actor: string): Promise<Written<ShopView>> {
    return this.writeShop(actor, async (transaction) => {
      const parsed = parse(shopSchema, input);
      if (!parsed.ok) return parsed;
      if (await transaction.findShop(parsed.value.domain)) {
        return refused('exists', { key: 'domain', message: 'there is a shop of this domain already' });
      }
      return this.putShop(transaction, null, parsed.value);
    });
  }

  updateShop(domain: string, input: Input, actor: string): Promise<Written<ShopView>> {
    return this.writeShop(actor, async (transaction) => {
      const current = await transaction.findShop(domain);
      if (!current) return refused('not-found');
      if (current.origin === 'file') return READ_ONLY;
      const parsed = parse(
        shopSchema,
        merged(
          {
            domain,
            accessToken: this.deps.stored.openToken(domain, current.accessToken),
            adminUrl: current.adminUrl,
            subscriptions: current.subscriptions,
            settings: current.settings,
            destinations: await transaction.linkedNames(current.id),
          },
          input,
        ),
      );
      if (!parsed.ok) return parsed;
      if (parsed.value.domain !== domain) return refused('invalid', { key: 'domain', message: 'cannot be changed' });
      return this.putShop(transaction, current, parsed.value);
    });
  }

  uninstallShop(domain: string, actor: string): Promise<Written<ShopView>> {
    return this.writeShop(actor, async (transaction) => {
      const current = await transaction.findShop(domain);
      if (!current) return refused('not-found');
      await transaction.markUninstalled(current);
      return domain;
    });
  }

  createDestination(input: Input, actor: string): Promise<Written<DestinationView>> {
    return this.writeDestination(actor, async (transaction) => {
      const parsed = this.parseDestination(input);
      if (!parsed.ok) return parsed;
      if (await transaction.findDestination(parsed.value.name)) {
        return refused('exists', { key: 'name', message: 'there is a destination of this name already' });
      }
      const reason = parsed.value.enabled ? null : disabledByOperator(actor);
      await transaction.putDestination(null, parsed.value, 'api', 'real', reason);
      return parsed.value.name;
    });
  }

  updateDestination(name: string, input: Input, actor: string): Promise<Written<DestinationView>> {
    return this.writeDestination(actor, async (transaction) => {
      const current = await transaction.findDestination(name);
      if (!current) return refused('not-found');
      if (current.origin === 'file') return READ_ONLY;
      const { kind, enabled, settings } = current;
      const stands = { name, kind, enabled, ...settings, ...this.deps.stored.openSecrets(current) };
      for (const [key, value] of Object.entries({ name, kind })) {
        if (input[key] !== undefined && input[key] !== value) {
          return refused('invalid', { key, message: 'cannot be changed: the ledger refers to it' });
        }
      }
      const parsed = this.parseDestination(merged(stands, input));
      if (!parsed.ok) return parsed;
      const reason = parsed.value.enabled ? null : (current.disabledReason ?? disabledByOperator(actor));
      await transaction.putDestination(current, parsed.value, 'api', current.sandbox ? 'sandbox' : 'real', reason);
      return name;
    });
  }

  setDestinationEnabled(name: string, enabled: boolean, actor: string): Promise<Written<DestinationView>> {
    return this.writeDestination(actor, async (transaction) => {
      const current = await transaction.findDestination(name);
      if (!current) return refused('not-found');
      const byFile = !current.enabled && !current.disabledReason?.startsWith(disabledByOperator(''));
      if (enabled && current.origin === 'file' && byFile) return READ_ONLY;
      if (enabled !== current.enabled) await transaction.enable(current, enabled ? null : disabledByOperator(actor));
      return name;
    });
  }

  private async putShop(
    transaction: RegistryTransaction,
    current: ShopEntity | null,
    shop: ShopDeclaration,
  ): Promise<string | Refusal> {
    const world = current?.sandbox ? 'sandbox' : 'real';
    const names = await transaction.destinationNames(world);
    const faults = shop.destinations.flatMap((name, index) =>
      names.includes(name)
        ? []
        : [
            {
              key: `destinations[${index}]`,
              message: `there is no destination of the name ${name}${didYouMean(name, names)}`,
            },
          ],
    );
    if (faults.length > 0) return refused('invalid', ...faults);
    await transaction.putShop(current, shop, 'api', world);
    return shop.domain;
  }

  private parseDestination(input: Input): { ok: true; value: DestinationDeclaration } | Refusal {
    const parsed = parse(destinationSchema, input);
    if (!parsed.ok) return parsed;
    const { name: _name, kind, enabled: _enabled, ...flat } = parsed.value;
    const faults = this.deps.stored.check(kind, flat);
    return faults.length > 0 ? refused('invalid', ...faults) : parsed;
  }

  private async writeShop(
    actor: string,
    work: (transaction: RegistryTransaction) => Promise<string | Refusal>,
  ): Promise<Written<ShopView>> {
    const written = await writeRegistry(this.deps, actor, work);
    if (typeof written !== 'string') return written;
    await this.changed();
    const view = (await this.shops()).find(({ domain }) => domain === written);
    return view ? { ok: true, value: view } : refused('not-found');
  }

  private async writeDestination(
    actor: string,
    work: (transaction: RegistryTransaction) => Promise<string | Refusal>,
  ): Promise<Written<DestinationView>> {
    const written = await writeRegistry(this.deps, actor, work);
    if (typeof written !== 'string') return written;
    await this.changed();
    const view = (await this.destinations()).find(({ name }) => name === written);
    return view ? { ok: true, value: view } : refused('not-found');
  }
}

/** What stands, with what is given; `null` takes a value away. */
function merged(stands: Input, given: Input): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...stands, ...given }).filter(([, value]) => value !== null));
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  input: Input,
): { ok: true; value: z.output<Schema> } | Refusal {
  const result = schema.safeParse(input);
  if (result.success) return { ok: true, value: result.data };
  const jsonSchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const faults = issuesToFaults(result.error.issues, jsonSchema, input);
  return refused('invalid', ...faults.map(({ path, message }) => ({ key: keyOf(path), message })));
}
