import { z } from 'zod';
import { httpUrl } from './own-url.js';

export const SEGMENT_SETTINGS = z.strictObject({
  writeKey: z.string().min(1, 'must not be empty'),
  endpoint: httpUrl.optional(),
  publicToken: z.string().min(1, 'must not be empty').optional(),
  sourceId: z.string().min(1, 'must not be empty').optional(),
  publicEndpoint: httpUrl.optional(),
  settlingMinutes: z.number().positive().max(1_440).default(5),
});
export type SegmentSettings = z.infer<typeof SEGMENT_SETTINGS>;
