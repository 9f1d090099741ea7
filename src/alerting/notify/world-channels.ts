import type { World } from '../../pipeline/contract.js';
import type { Route } from '../contract.js';
import type { PagerDuty } from './pagerduty.js';
import type { SecondChannel } from './second-channel.js';
import type { PublicUrl } from './words.js';

/** How people of one world are told. Worlds share nothing: what the sandbox says is never said to real people. */
export interface WorldChannels {
  world: World;
  pager: PagerDuty | null;
  /** What the pager's webhooks are signed with, newest first. */
  webhookSecrets: readonly string[];
  escalationPolicies: readonly string[];
  second: SecondChannel | null;
  heartbeatUrl: string | null;
  tickets: 'pagerduty' | 'second' | 'none';
  publicUrl: PublicUrl;
}

/** Whether anything beyond the pager's 202 will prove that somebody is paged. */
export function canConfirm({ pager, webhookSecrets }: WorldChannels): boolean {
  return pager !== null && (webhookSecrets.length > 0 || pager.canLook);
}

/** The route that everything that is no page goes by. */
export const ROUTINE: Route = 'routine';

/** Who is there to be told. */
export interface Audience {
  hasPager: boolean;
  /** The second channel, as rows name it. */
  second: string | null;
  /** Where alerts go that can wait for the next working day; `none` = they are listed. */
  tickets: WorldChannels['tickets'];
}
