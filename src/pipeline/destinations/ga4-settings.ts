import { z } from 'zod';
import { serviceAccountFault } from './google-account.js';
import { httpUrl } from './own-url.js';

export const GA4_SETTINGS = z.strictObject({
  measurementId: z.string().regex(/^G-[A-Za-z0-9]+$/, 'must look like G-XXXXXXX'),
  apiSecret: z.string().min(1, 'must not be empty'),
  endpoint: httpUrl.optional(),
  region: z.literal('eu').optional(),
  transactionId: z.enum(['order-id', 'order-name']).default('order-id'),
  validate: z.boolean().default(false),
  propertyId: z
    .string()
    .regex(/^\d{1,20}$/, 'must be the number of the property')
    .optional(),
  serviceAccount: z
    .string()
    .superRefine((text, context) => {
      const message = serviceAccountFault(text);
      if (message !== null) context.addIssue({ code: 'custom', message });
    })
    .optional(),
  dataEndpoint: httpUrl.optional(),
  settlingHours: z.number().positive().max(168).default(48),
});
export type Ga4Settings = z.infer<typeof GA4_SETTINGS>;
