import { z } from 'zod';
import type { Sections } from '../kernel/config.js';

const about = (description: string): { description: string } => ({ description });

const line = (most: number) =>
  z.string('expected text').trim().min(1, 'must not be empty').max(most, `expected at most ${most} characters`);

const publicUrl = z
  .string('expected a URL')
  .refine((value) => /^https?:\/\//.test(value) && URL.canParse(value), 'expected a URL that begins with https://')
  .transform((value) => value.replace(/\/+$/, ''));

const contact = z
  .string('expected text')
  .refine(
    (value) => /^(?:https?:\/\/|mailto:)/.test(value) && URL.canParse(value),
    'expected an address like https://example.com/support or mailto:help@example.com',
  );

/** `delivery:ga4` and the like: one for each kind of destination. */
const componentId = z
  .string()
  .regex(
    /^(?:intake|processing|reconciliation|status|delivery:[a-z0-9-]+)$/,
    'expected intake, processing, reconciliation, status or delivery:<kind of destination>',
  );

const statusPage = z
  .strictObject({
    title: line(80).default('Plumbline').meta(about('Whose page it is; stands above everything.')),
    url: publicUrl
      .optional()
      .meta(about('Where the public finds the page; feeds and JSON link there. Default: /status of this service.')),
    contact: contact.optional().meta(about('Where customers turn to: https://… or mailto:…. Default: not shown.')),
    components: z
      .record(
        componentId,
        z.strictObject({ name: line(60).optional(), description: line(200).optional() }),
        'expected components by their ids',
      )
      .default({})
      .meta(about('Names and descriptions, by intake, processing, delivery:ga4 and the like, reconciliation, status.')),
  })
  .prefault({})
  .meta(about('The public status page.'));

const shape = { statusPage };

export type StatusPageFile = z.output<z.ZodObject<typeof shape>>;
export type StatusPageSettings = StatusPageFile['statusPage'];

/** The status page's part of the file. */
export const STATUS_PAGE_SECTIONS: Sections<typeof shape> = { shape };
