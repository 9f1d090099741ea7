import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { DestinationEntity } from './destination.entity.js';
import { ShopEntity } from './shop.entity.js';

/** Which shop's events go where. The world is part of both references: pretended and real can never mix. */
@Entity({ schema: 'pipeline', name: 'shop_destination' })
@ForeignKey(() => ShopEntity, ['shopId', 'sandbox'], ['id', 'sandbox'], {
  name: 'shop_destination_shop',
  onDelete: 'CASCADE',
})
@ForeignKey(() => DestinationEntity, ['destinationId', 'sandbox'], ['id', 'sandbox'], {
  name: 'shop_destination_destination',
})
@Index('shop_destination_by_destination', ['destinationId'])
export class ShopDestinationEntity {
  @PrimaryColumn('bigint', { name: 'shop_id', primaryKeyConstraintName: 'shop_destination_pkey' })
  shopId: string;

  @PrimaryColumn('integer', { name: 'destination_id', primaryKeyConstraintName: 'shop_destination_pkey' })
  destinationId: number;

  @Column('boolean')
  sandbox: boolean;

  /** `null` = since the shop was connected. */
  @Column('timestamptz', { name: 'linked_at', nullable: true })
  linkedAt: Date | null;
}
