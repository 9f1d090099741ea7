import { Check, Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import type { DestinationKind, Origin } from '../contract.js';

@Entity({ schema: 'pipeline', name: 'destination' })
@Unique('destination_name_unique', ['name'])
@Unique('destination_world', ['id', 'sandbox'])
@Check('destination_kind_check', `kind in ('ga4', 'segment', 'postgres', 'webhook')`)
@Check('destination_origin_check', `origin in ('file', 'api')`)
export class DestinationEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'integer',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'destination_pkey',
  })
  id: number;

  @Column('text')
  name: string;

  @Column('text')
  kind: DestinationKind;

  @Column('boolean', { default: false })
  sandbox: boolean;

  @Column('text')
  origin: Origin;

  @Column('boolean', { default: true })
  enabled: boolean;

  @Column('text', { name: 'disabled_reason', nullable: true })
  disabledReason: string | null;

  /** Common settings and the kind's own, without its secrets. */
  @Column('jsonb', { default: {} })
  settings: Record<string, unknown>;

  /** The kind's secrets as JSON, sealed; see `StoredSettings.seal`. */
  @Column('bytea', { nullable: true })
  secrets: Buffer | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt: Date;
}
