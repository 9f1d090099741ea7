import type { EntityManager } from 'typeorm';
import type { DestinationView, ShopView } from '../contract.js';
import { DestinationEntity } from './destination.entity.js';
import { ShopDestinationEntity } from './shop-destination.entity.js';
import { ShopEntity } from './shop.entity.js';
import type { StoredSettings } from './stored-settings.js';

export async function readShopViews(manager: EntityManager): Promise<ShopView[]> {
  const shops = await manager.find(ShopEntity, { order: { domain: 'ASC' } });
  const links = Map.groupBy(await manager.find(ShopDestinationEntity), ({ shopId }) => shopId);
  const names = new Map((await manager.find(DestinationEntity)).map(({ id, name }) => [id, name]));
  return shops.map((row) => ({
    domain: row.domain,
    world: row.sandbox ? 'sandbox' : 'real',
    origin: row.origin,
    key: row.key,
    adminUrl: row.adminUrl,
    accessTokenSet: row.accessToken !== null,
    subscriptions: row.subscriptions,
    settings: row.settings,
    destinations: (links.get(row.id) ?? []).flatMap(({ destinationId }) => names.get(destinationId) ?? []).sort(),
    uninstalledAt: row.uninstalledAt,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  }));
}

export async function readDestinationViews(manager: EntityManager, stored: StoredSettings): Promise<DestinationView[]> {
  const destinations = await manager.find(DestinationEntity, { order: { name: 'ASC' } });
  const links = Map.groupBy(await manager.find(ShopDestinationEntity), ({ destinationId }) => destinationId);
  const domains = new Map((await manager.find(ShopEntity)).map(({ id, domain }) => [id, domain]));
  return destinations.map((row) => ({
    name: row.name,
    kind: row.kind,
    world: row.sandbox ? 'sandbox' : 'real',
    origin: row.origin,
    enabled: row.enabled,
    disabledReason: row.disabledReason,
    settings: row.settings,
    secretsSet: stored.secretsSet(row),
    shops: (links.get(row.id) ?? []).flatMap(({ shopId }) => domains.get(shopId) ?? []).sort(),
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  }));
}
