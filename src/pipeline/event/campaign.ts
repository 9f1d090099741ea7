/** Query keys of a landing page that say where the buyer came from: UTM and the advertising networks' click ids. */
const CAMPAIGN_KEYS = [
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_term',
  'utm_content',
  'utm_id',
  'gclid',
  'gbraid',
  'wbraid',
  'dclid',
  'fbclid',
  'msclkid',
  'ttclid',
] as const;

/** @param landingSite as Shopify has it: a path with its query, or a whole URL */
export function campaignOf(landingSite: string | null): Readonly<Record<string, string>> {
  const campaign: Record<string, string> = {};
  const question = landingSite?.indexOf('?') ?? -1;
  if (landingSite === null || question < 0) return campaign;
  const hash = landingSite.indexOf('#', question);
  // URLSearchParams reads any text; a landing page that is no valid URL still tells its campaign.
  const query = new URLSearchParams(landingSite.slice(question + 1, hash < 0 ? undefined : hash));
  for (const key of CAMPAIGN_KEYS) {
    const value = query.get(key);
    if (value) campaign[key] = value;
  }
  return campaign;
}
