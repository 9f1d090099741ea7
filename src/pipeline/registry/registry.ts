import type { DataSource } from 'typeorm';
import type { Clock } from '../../kernel/clock.js';
import { PlumblineError } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import { Loop } from '../../kernel/loop.js';
import type { Ids } from '../../kernel/random.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { Destination, RegistryDesk, RegistryReader, Shop, World } from '../contract.js';
import { applyDeclared, type Declared } from './declared.js';
import { Desk } from './desk.js';
import { DestinationEntity } from './destination.entity.js';
import { writeRegistry, type WriterDeps } from './registry-writer.js';
import { ShopDestinationEntity } from './shop-destination.entity.js';
import { ShopEntity } from './shop.entity.js';
import { RegistrySnapshot } from './snapshot.js';
import { StoredSettings, type AdapterFacts } from './stored-settings.js';

/** For `createDataSource`. */
export const REGISTRY_ENTITIES = [ShopEntity, DestinationEntity, ShopDestinationEntity];

const VERSION = 'select version::text as version from pipeline.registry_version';
/** How long another process's change may go unseen. */
const POLL_MS = 1_000;

export interface RegistryDeps {
  /** Initialised, with REGISTRY_ENTITIES. */
  source: DataSource;
  secrets: SecretBox;
  clock: Clock;
  ids: Ids;
  log: Logger;
  adapters: AdapterFacts;
}

/**
 * Shops and destinations, kept in memory for the hot path. What is in memory is one snapshot of the database; it is
 * replaced whole when the version moved, within a second for another process's change and at once for our own.
 */
export class Registry implements RegistryReader {
  readonly desk: RegistryDesk;
  private readonly writer: WriterDeps;
  private readonly stored: StoredSettings;
  private snapshot = RegistrySnapshot.EMPTY;
  private readonly listeners: ((snapshot: RegistrySnapshot) => void)[] = [];
  private loading: Promise<void> = Promise.resolve();

  constructor(private readonly deps: RegistryDeps) {
    this.stored = new StoredSettings(deps.secrets, deps.adapters);
    this.writer = { source: deps.source, stored: this.stored, clock: deps.clock, ids: deps.ids };
    this.desk = new Desk(this.writer, () => this.refresh());
  }

  get current(): RegistrySnapshot {
    return this.snapshot;
  }

  shops(): readonly Shop[] {
    return this.snapshot.allShops;
  }

  destinations(): readonly Destination[] {
    return this.snapshot.allDestinations;
  }

  shopByDomain(world: World, domain: string): Shop | undefined {
    return this.snapshot.shopByDomain(world, domain);
  }

  /** Whether a shop of this domain is connected, in either world. `null` = nothing has been read yet. */
  knowsDomain(domain: string): boolean | null {
    if (this.snapshot === RegistrySnapshot.EMPTY) return null;
    return (this.shopByDomain('real', domain) ?? this.shopByDomain('sandbox', domain)) !== undefined;
  }

  shopById(id: string): Shop | undefined {
    return this.snapshot.shopById(id);
  }

  destinationById(id: number): Destination | undefined {
    return this.snapshot.destinationById(id);
  }

  /** Called with every new snapshot: lanes of a destination that was enabled want to be looked at now. */
  onChange(listener: (snapshot: RegistrySnapshot) => void): void {
    this.listeners.push(listener);
  }

  /** Reads the registry if it has moved. One reading at a time; a later caller sees what was committed before. */
  refresh(): Promise<void> {
    const next = this.loading.catch(() => undefined).then(() => this.reload());
    this.loading = next;
    return next;
  }

  /** The loop that follows other processes' changes. The caller starts and stops it. */
  watch(): Loop {
    return new Loop({
      name: 'registry',
      pauseMs: POLL_MS,
      clock: this.deps.clock,
      log: this.deps.log,
      round: async () => {
        await this.refresh();
        return 'idle';
      },
    });
  }

  /** Makes one world what is declared; see `applyDeclared`. */
  async applyDeclared(declared: Declared, world: World, actor = 'configuration'): Promise<void> {
    this.refuseWhatAdaptersRefuse(declared);
    await writeRegistry(this.writer, actor, (transaction) => applyDeclared(transaction, declared, world));
    await this.refresh();
  }

  private refuseWhatAdaptersRefuse({ destinations }: Declared): void {
    const faults = destinations.flatMap(({ name, kind, enabled: _, ...flat }) =>
      this.stored.check(kind, flat).map(({ key, message }) => `  ${name}  ${key}: ${message}`),
    );
    if (faults.length === 0) return;
    throw new PlumblineError('CONFIGURATION_INVALID', `destinations with faults:\n${faults.join('\n')}`);
  }

  private async reload(): Promise<void> {
    const [row] = await this.deps.source.query<{ version: string }[]>(VERSION);
    if (row?.version === this.snapshot.version) return;
    this.snapshot = await this.deps.source.transaction('REPEATABLE READ', async (manager) => {
      const [{ version } = { version: '0' }] = await manager.query<{ version: string }[]>(VERSION);
      const shops = await manager.find(ShopEntity);
      const destinations = await manager.find(DestinationEntity);
      const links = Map.groupBy(await manager.find(ShopDestinationEntity), ({ shopId }) => shopId);
      return new RegistrySnapshot(
        version,
        shops.map((shop) => this.openShop(shop, links.get(shop.id) ?? [])),
        destinations.map((destination) => this.openDestination(destination)),
      );
    });
    for (const listener of this.listeners) listener(this.snapshot);
  }

  private openShop(row: ShopEntity, links: readonly ShopDestinationEntity[]): Shop {
    return Object.freeze({
      id: row.id,
      domain: row.domain,
      key: row.key,
      world: row.sandbox ? 'sandbox' : 'real',
      adminUrl: row.adminUrl,
      accessToken: this.stored.openToken(row.domain, row.accessToken),
      settings: Object.freeze(row.settings),
      destinationIds: links.map(({ destinationId }) => destinationId),
      links: links.map(({ destinationId, linkedAt }) => ({ destinationId, linkedAt })),
      subscriptions: row.subscriptions,
      connectedAt: row.connectedAt ?? row.createdAt,
      uninstalledAt: row.uninstalledAt,
    });
  }

  private openDestination(row: DestinationEntity): Destination {
    return Object.freeze({
      id: row.id,
      name: row.name,
      kind: row.kind,
      world: row.sandbox ? 'sandbox' : 'real',
      enabled: row.enabled,
      settings: Object.freeze(this.stored.open(row)),
      changedAt: row.updatedAt,
    });
  }
}
