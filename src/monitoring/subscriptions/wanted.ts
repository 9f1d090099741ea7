import type { Shop, World } from '../../pipeline/contract.js';
import type { SubscriptionState } from '../contract.js';
import { wantedUri } from './address.js';
import type { Wanted } from './plan.js';
import { listableTopics } from './topics.js';

/** What the configuration says of subscriptions. */
export interface SubscriptionSettings {
  topics: readonly string[];
  apiVersion: string;
  /**
   * What Shopify calls, without intake's path; `null` = nobody has said. The sandbox calls the service itself, where it
   * runs in this process's care.
   */
  callbackBase: (world: World) => string | null;
}

export function wantedOf(settings: SubscriptionSettings, shop: Shop): Wanted | null {
  const base = settings.callbackBase(shop.world);
  if (base === null) return null;
  const address = { base, key: shop.key };
  const { topics, apiVersion } = settings;
  return { topics: listableTopics(topics), uri: wantedUri(address), address, apiVersion };
}

export interface NotWatched {
  state: Extract<SubscriptionState, 'uninstalled' | 'app-owned' | 'no-address' | 'no-destination'>;
  /** For people. */
  reason: string;
  /** Whether somebody must hear of it. */
  told: boolean;
  /** Whether what was known of the shop's subscriptions has lost its meaning. */
  forget: boolean;
}

/** @returns `null` when the shop's subscriptions are to be looked at */
export function whyNotWatched(shop: Shop, wanted: Wanted | null): NotWatched | null {
  if (shop.uninstalledAt !== null) {
    return {
      state: 'uninstalled',
      reason: 'the merchant has removed the app, and its subscriptions with it',
      told: false,
      forget: true,
    };
  }
  if (shop.destinationIds.length === 0) {
    return { state: 'no-destination', reason: 'no destination gets the events of the shop', told: false, forget: true };
  }
  if (shop.subscriptions === 'app') {
    const reason = 'from the app’s TOML file, which Shopify does not list: watched by silence and reconciliation';
    return { state: 'app-owned', reason, told: false, forget: true };
  }
  if (wanted !== null) return null;
  const isReal = shop.world === 'real';
  const reason = isReal
    ? 'shopify.publicUrl is not set: nobody knows where Shopify should call'
    : 'the sandbox does not run in this process';
  return { state: 'no-address', reason, told: isReal, forget: false };
}
