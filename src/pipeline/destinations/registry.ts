import { AddressGuard } from '../../kernel/address-guard.js';
import type { Clock } from '../../kernel/clock.js';
import { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import type { DestinationKind } from '../contract.js';
import type { DestinationAdapter } from './adapter.js';
import { Ga4Adapter } from './ga4.js';
import { Ga4ReadBack } from './ga4-read-back.js';
import { PostgresAdapter } from './postgres.js';
import { SegmentAdapter } from './segment.js';
import { SegmentReadBack } from './segment-read-back.js';
import { WebhookAdapter } from './webhook.js';

export interface AdapterDeps {
  clock: Clock;
  /** CIDR ranges outbound HTTP may reach besides public addresses (`security.allowPrivateAddresses`). */
  allowPrivateAddresses: readonly string[];
  log: Logger;
}

/** Every kind of destination there is. A new kind is an adapter, one line here, and the conformance suite. */
export function createAdapters({
  clock,
  allowPrivateAddresses,
  log,
}: AdapterDeps): Map<DestinationKind, DestinationAdapter> {
  const guard = new AddressGuard(allowPrivateAddresses);
  // Connections of its own for each kind, and for reading it back: a slow far side takes none of another's.
  const adapters: DestinationAdapter[] = [
    new Ga4Adapter(new HttpOut(guard), clock, log, new Ga4ReadBack(new HttpOut(guard), clock)),
    new SegmentAdapter(new HttpOut(guard), clock, new SegmentReadBack(new HttpOut(guard), clock)),
    new WebhookAdapter(new HttpOut(guard), clock),
    new PostgresAdapter(clock, log),
  ];
  return new Map(adapters.map((adapter) => [adapter.kind, adapter]));
}
