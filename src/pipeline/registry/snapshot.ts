import type { Destination, Shop, World } from '../contract.js';

/** The registry as one moment saw it. Immutable: a router's batch plans against one snapshot from end to end. */
export class RegistrySnapshot {
  private readonly byDomain: ReadonlyMap<string, Shop>;
  private readonly byId: ReadonlyMap<string, Shop>;
  private readonly destinations: ReadonlyMap<number, Destination>;

  static readonly EMPTY = new RegistrySnapshot('0', [], []);

  /** @param version of `pipeline.registry_version`, a decimal string */
  constructor(
    readonly version: string,
    readonly allShops: readonly Shop[],
    readonly allDestinations: readonly Destination[],
  ) {
    this.byDomain = new Map(allShops.map((shop) => [`${shop.world}/${shop.domain}`, shop]));
    this.byId = new Map(allShops.map((shop) => [shop.id, shop]));
    this.destinations = new Map(allDestinations.map((destination) => [destination.id, destination]));
  }

  /** A sandbox's webhook never finds a real shop, whatever domain it claims. */
  shopByDomain(world: World, domain: string): Shop | undefined {
    return this.byDomain.get(`${world}/${domain}`);
  }

  shopById(id: string): Shop | undefined {
    return this.byId.get(id);
  }

  destinationById(id: number): Destination | undefined {
    return this.destinations.get(id);
  }
}
