import { isDeepStrictEqual } from 'node:util';
import type { DataSource, EntityManager } from 'typeorm';
import { In } from 'typeorm';
import { recordAudit, type AuditEntry } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Ids } from '../../kernel/random.js';
import type { DestinationDeclaration, ShopDeclaration } from '../config.js';
import type { Origin, World } from '../contract.js';
import { DestinationEntity } from './destination.entity.js';
import { tokenHash } from './dead-token.js';
import { ShopDestinationEntity } from './shop-destination.entity.js';
import { ShopEntity } from './shop.entity.js';
import type { StoredSettings } from './stored-settings.js';

const BUMP = `update pipeline.registry_version set version = version + 1`;
/** Taken first: writers of the registry go one after the other, so "is there one already?" keeps its answer. */
const LOCK = `select version from pipeline.registry_version for update`;

/** In a shop's callback URL; 128 bits that nobody guesses. */
const SHOP_KEY_BYTES = 16;

export interface WriterDeps {
  source: DataSource;
  stored: StoredSettings;
  clock: Clock;
  ids: Ids;
}

/** What a write may touch. Every change is audited and moves the version, in the same transaction. */
export class RegistryTransaction {
  private changed = false;

  constructor(
    private readonly manager: EntityManager,
    private readonly deps: WriterDeps,
    private readonly actor: string,
  ) {}

  findShop(domain: string): Promise<ShopEntity | null> {
    return this.manager.findOneBy(ShopEntity, { domain });
  }

  findDestination(name: string): Promise<DestinationEntity | null> {
    return this.manager.findOneBy(DestinationEntity, { name });
  }

  shopsOf(origin: Origin, world: World): Promise<ShopEntity[]> {
    return this.manager.findBy(ShopEntity, { origin, sandbox: world === 'sandbox' });
  }

  destinationsOf(origin: Origin, world: World): Promise<DestinationEntity[]> {
    return this.manager.findBy(DestinationEntity, { origin, sandbox: world === 'sandbox' });
  }

  async destinationNames(world: World): Promise<string[]> {
    return (await this.manager.findBy(DestinationEntity, { sandbox: world === 'sandbox' })).map(({ name }) => name);
  }

  /** Names of the destinations a shop is linked to. */
  async linkedNames(shopId: string): Promise<string[]> {
    const ids = (await this.manager.findBy(ShopDestinationEntity, { shopId })).map((link) => link.destinationId);
    return (await this.manager.findBy(DestinationEntity, { id: In(ids) })).map(({ name }) => name);
  }

  /** Writes a shop and its links; nothing when it stands there already. */
  async putShop(current: ShopEntity | null, declared: ShopDeclaration, origin: Origin, world: World): Promise<void> {
    const { stored, clock, ids } = this.deps;
    const sandbox = world === 'sandbox';
    const given = declared.accessToken ?? null;
    // The file says the same at every start; only a token that did not die with the app means that it is back.
    const token = given !== null && origin === 'file' && isDead(current, given) ? null : given;
    const same =
      current !== null &&
      current.origin === origin &&
      current.adminUrl === (declared.adminUrl ?? null) &&
      current.subscriptions === declared.subscriptions &&
      stored.openToken(declared.domain, current.accessToken) === token &&
      isDeepStrictEqual(current.settings, declared.settings);
    let id = current?.id;
    if (!same) {
      const now = clock.now();
      const row = await this.manager.save(ShopEntity, {
        ...(current ?? { domain: declared.domain, key: ids.token(SHOP_KEY_BYTES), sandbox, createdAt: now }),
        origin,
        adminUrl: declared.adminUrl ?? null,
        accessToken: token === null ? null : stored.sealToken(declared.domain, token),
        subscriptions: declared.subscriptions,
        settings: declared.settings,
        // A token means the app is installed again.
        ...(token !== null && current?.uninstalledAt
          ? { uninstalledAt: null, deadToken: null, connectedAt: now }
          : { uninstalledAt: current?.uninstalledAt ?? null }),
        updatedAt: now,
      });
      id = row.id;
      await this.note({
        action: current ? 'shop.update' : 'shop.create',
        subject: declared.domain,
        detail: { origin, world },
      });
    }
    if (id !== undefined) await this.link(id, declared.domain, declared.destinations, sandbox, current === null);
  }

  /**
   * Sets exactly these links. A link that is made again is a new one: what was sold while it was gone is not owed.
   *
   * @param fromTheStart the shop is being connected with them, so that all of it is owed to them
   */
  async link(
    shopId: string,
    domain: string,
    names: readonly string[],
    sandbox: boolean,
    fromTheStart = false,
  ): Promise<void> {
    const wanted = names.length === 0 ? [] : await this.manager.findBy(DestinationEntity, { name: In(names), sandbox });
    const links = await this.manager.findBy(ShopDestinationEntity, { shopId });
    const added = wanted.filter(({ id }) => !links.some((link) => link.destinationId === id));
    const removed = links.filter((link) => !wanted.some(({ id }) => link.destinationId === id));
    if (added.length === 0 && removed.length === 0) return;
    if (removed.length > 0) await this.manager.remove(removed);
    const linkedAt = fromTheStart ? null : this.deps.clock.now();
    await this.manager.insert(
      ShopDestinationEntity,
      added.map(({ id }) => ({ shopId, destinationId: id, sandbox, linkedAt })),
    );
    await this.note({ action: 'shop.link', subject: domain, detail: { destinations: wanted.map(({ name }) => name) } });
  }

  async markUninstalled(shop: ShopEntity): Promise<void> {
    if (shop.uninstalledAt !== null) return;
    const now = this.deps.clock.now();
    const token = this.deps.stored.openToken(shop.domain, shop.accessToken);
    // The token died with the installation; keeping it would only be a secret to lose.
    await this.manager.update(
      ShopEntity,
      { id: shop.id },
      { uninstalledAt: now, accessToken: null, deadToken: token === null ? null : tokenHash(token), updatedAt: now },
    );
    await this.note({ action: 'shop.uninstall', subject: shop.domain });
  }

  /** @param disabledReason why it is off; `null` = it is on */
  async putDestination(
    current: DestinationEntity | null,
    declared: DestinationDeclaration,
    origin: Origin,
    world: World,
    disabledReason: string | null,
  ): Promise<void> {
    const { stored, clock } = this.deps;
    const { name, kind, enabled: _enabled, ...flat } = declared;
    const sealed = stored.seal(name, kind, flat);
    const same =
      current !== null &&
      current.origin === origin &&
      current.disabledReason === disabledReason &&
      isDeepStrictEqual(current.settings, sealed.settings) &&
      isDeepStrictEqual(stored.openSecrets(current), stored.openSecrets({ name, secrets: sealed.secrets }));
    if (same) return;
    const now = clock.now();
    await this.manager.save(DestinationEntity, {
      ...(current ?? { name, kind, sandbox: world === 'sandbox', createdAt: now }),
      origin,
      enabled: disabledReason === null,
      disabledReason,
      settings: sealed.settings,
      secrets: sealed.secrets,
      updatedAt: now,
    });
    await this.note({
      action: current ? 'destination.update' : 'destination.create',
      subject: name,
      detail: { kind, origin, world, enabled: disabledReason === null },
    });
  }

  /** @param reason why it is off; `null` = it is on */
  async enable(destination: DestinationEntity, reason: string | null): Promise<void> {
    if (destination.disabledReason === reason && destination.enabled === (reason === null)) return;
    await this.manager.update(
      DestinationEntity,
      { id: destination.id },
      { enabled: reason === null, disabledReason: reason, updatedAt: this.deps.clock.now() },
    );
    await this.note({
      action: reason === null ? 'destination.enable' : 'destination.disable',
      subject: destination.name,
      ...(reason === null ? {} : { detail: { reason } }),
    });
  }

  private async note(entry: Omit<AuditEntry, 'actor'>): Promise<void> {
    if (!this.changed) await this.manager.query(BUMP);
    this.changed = true;
    await recordAudit(this.manager, this.deps.clock, { actor: this.actor, ...entry });
  }
}

function isDead(shop: ShopEntity | null, token: string): boolean {
  if (!shop?.uninstalledAt || !shop.deadToken) return false;
  return shop.deadToken.equals(tokenHash(token));
}

/** One transaction on the registry. What it throws rolls everything back. */
export function writeRegistry<Result>(
  deps: WriterDeps,
  actor: string,
  work: (transaction: RegistryTransaction) => Promise<Result>,
): Promise<Result> {
  return deps.source.transaction(async (manager) => {
    await manager.query(LOCK);
    return work(new RegistryTransaction(manager, deps, actor));
  });
}
