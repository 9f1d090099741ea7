import type { SecretBox } from '../../kernel/secrets.js';
import { destinationCommon } from '../config.js';
import type { DestinationKind, DestinationSettings } from '../contract.js';
import type { DestinationAdapter } from '../destinations/adapter.js';
import type { DestinationEntity } from './destination.entity.js';

/** What the registry needs to know of each kind. */
export type AdapterFacts = ReadonlyMap<DestinationKind, Pick<DestinationAdapter, 'checkSettings' | 'secretKeys'>>;

type Keys = Record<string, unknown>;

const COMMON_KEYS = Object.keys(destinationCommon);

/** Seals and opens what the registry stores. The purpose binds each secret to its row's natural key. */
export class StoredSettings {
  constructor(
    private readonly box: SecretBox,
    private readonly adapters: AdapterFacts,
  ) {}

  sealToken(domain: string, token: string): Buffer {
    return this.box.seal(Buffer.from(token), `shop:${domain}:access-token`);
  }

  openToken(domain: string, sealed: Buffer | null): string | null {
    return sealed === null ? null : this.box.open(sealed, `shop:${domain}:access-token`).toString('utf8');
  }

  /** All settings of a destination, flat, to what is stored in the open and what is sealed. */
  seal(name: string, kind: DestinationKind, flat: Readonly<Keys>): { settings: Keys; secrets: Buffer | null } {
    const secretKeys = this.secretKeys(kind);
    const pick = (secret: boolean): Keys =>
      Object.fromEntries(Object.entries(flat).filter(([key]) => secretKeys.includes(key) === secret));
    const secrets = pick(true);
    return {
      settings: pick(false),
      secrets: Object.keys(secrets).length === 0 ? null : this.box.sealJson(secrets, `destination:${name}:secrets`),
    };
  }

  openSecrets(row: Pick<DestinationEntity, 'name' | 'secrets'>): Keys {
    // Safe: the seal proves that `seal` wrote it, and that was an object.
    return row.secrets === null ? {} : (this.box.openJson(row.secrets, `destination:${row.name}:secrets`) as Keys);
  }

  /** As the adapters read it. */
  open(row: Pick<DestinationEntity, 'name' | 'secrets' | 'settings'>): DestinationSettings {
    const flat: Keys = { ...row.settings, ...this.openSecrets(row) };
    const common = Object.fromEntries(COMMON_KEYS.map((key) => [key, flat[key]])) as Partial<DestinationSettings>;
    return {
      purchaseOn: common.purchaseOn ?? 'paid',
      money: common.money ?? 'shop',
      testOrders: common.testOrders ?? false,
      excludeChannels: common.excludeChannels ?? [],
      consentAttribute: common.consentAttribute ?? null,
      own: Object.freeze(Object.fromEntries(Object.entries(flat).filter(([key]) => !COMMON_KEYS.includes(key)))),
    };
  }

  /** The kind's secret keys, and whether each is set. */
  secretsSet(row: Pick<DestinationEntity, 'name' | 'kind' | 'secrets'>): Record<string, boolean> {
    const secrets = this.openSecrets(row);
    return Object.fromEntries(this.secretKeys(row.kind).map((key) => [key, secrets[key] !== undefined]));
  }

  /** Faults that only the adapter can tell. */
  check(kind: DestinationKind, flat: Readonly<Keys>): { key: string; message: string }[] {
    const own = Object.fromEntries(Object.entries(flat).filter(([key]) => !COMMON_KEYS.includes(key)));
    return this.adapters.get(kind)?.checkSettings(own) ?? [];
  }

  private secretKeys(kind: DestinationKind): readonly string[] {
    return this.adapters.get(kind)?.secretKeys ?? [];
  }
}
