import { PlumblineError } from '../../kernel/errors.js';
import type { DestinationDeclaration, PipelineFile } from '../config.js';
import type { World } from '../contract.js';
import type { DestinationEntity } from './destination.entity.js';
import type { RegistryTransaction } from './registry-writer.js';

export type Declared = Pick<PipelineFile, 'shops' | 'destinations'>;

const BY_OPERATOR = 'disabled over the API by ';
const BY_FILE = 'disabled in the configuration file';
const UNDECLARED = 'no longer declared in the configuration file';

export function disabledByOperator(actor: string): string {
  return BY_OPERATOR + actor;
}

/**
 * Why a declared destination is off. What a person switched off over the API stays off when the service starts
 * again: trouble does not end with a restart.
 *
 * @returns `null` = it is on
 */
function disabledReasonOf(declared: { enabled: boolean }, current: string | null): string | null {
  if (current?.startsWith(BY_OPERATOR)) return current;
  return declared.enabled ? null : BY_FILE;
}

/**
 * Makes the registry what the file declares, for one world. Applying the same file again changes nothing.
 *
 * What is declared no longer is not deleted, because the ledger refers to it: a shop loses its links, a destination
 * is switched off, and both say why.
 *
 * @throws PlumblineError CONFIGURATION_INVALID when a name now means something else; nothing is changed then
 */
export async function applyDeclared(transaction: RegistryTransaction, declared: Declared, world: World): Promise<void> {
  for (const destination of declared.destinations) {
    const current = await transaction.findDestination(destination.name);
    if (current) refuseOtherMeaning(current, destination, world);
    const reason = disabledReasonOf(destination, current?.disabledReason ?? null);
    await transaction.putDestination(current, destination, 'file', world, reason);
  }
  for (const shop of declared.shops) {
    const current = await transaction.findShop(shop.domain);
    if (current && current.sandbox !== (world === 'sandbox')) {
      throw new PlumblineError(
        'CONFIGURATION_INVALID',
        `shop ${shop.domain} exists already, ${current.sandbox ? 'in the sandbox' : 'as a real shop'}; the two never mix`,
      );
    }
    await transaction.putShop(current, shop, 'file', world);
  }

  for (const shop of await transaction.shopsOf('file', world)) {
    if (declared.shops.some(({ domain }) => domain === shop.domain)) continue;
    await transaction.link(shop.id, shop.domain, [], shop.sandbox);
  }
  for (const destination of await transaction.destinationsOf('file', world)) {
    if (declared.destinations.some(({ name }) => name === destination.name)) continue;
    await transaction.enable(destination, UNDECLARED);
  }
}

function refuseOtherMeaning(current: DestinationEntity, declared: DestinationDeclaration, world: World): void {
  const was = current.sandbox ? 'sandbox' : 'real';
  if (current.kind === declared.kind && was === world) return;
  throw new PlumblineError(
    'CONFIGURATION_INVALID',
    `destination ${declared.name} was a ${was} destination of kind ${current.kind}, and what it got is in the ledger; ` +
      `give the new one (${world}, ${declared.kind}) another name`,
  );
}
