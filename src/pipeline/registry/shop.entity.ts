import { Check, Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import type { Origin, ShopSettings } from '../contract.js';

@Entity({ schema: 'pipeline', name: 'shop' })
@Unique('shop_domain_unique', ['domain'])
@Unique('shop_key_unique', ['key'])
@Unique('shop_world', ['id', 'sandbox'])
@Check('shop_origin_check', `origin in ('file', 'api')`)
@Check('shop_subscriptions_check', `subscriptions in ('shop', 'app')`)
export class ShopEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'shop_pkey',
  })
  id: string;

  @Column('text')
  domain: string;

  @Column('text')
  key: string;

  @Column('boolean', { default: false })
  sandbox: boolean;

  @Column('text')
  origin: Origin;

  @Column('text', { name: 'admin_url', nullable: true })
  adminUrl: string | null;

  /** Sealed; see `StoredSettings.sealToken`. */
  @Column('bytea', { name: 'access_token', nullable: true })
  accessToken: Buffer | null;

  @Column('text', { default: 'shop' })
  subscriptions: 'shop' | 'app';

  @Column('jsonb', { default: {} })
  settings: ShopSettings;

  @Column('timestamptz', { name: 'uninstalled_at', nullable: true })
  uninstalledAt: Date | null;

  /** The last connection, a re-installation included; `null` = when it was created. */
  @Column('timestamptz', { name: 'connected_at', nullable: true })
  connectedAt: Date | null;

  /** SHA-256 of the token that died with the last installation. */
  @Column('bytea', { name: 'dead_token', nullable: true })
  deadToken: Buffer | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}
