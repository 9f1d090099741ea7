import type { z } from 'zod';
import type { Sections } from './kernel/config.js';
import { MONITORING_SECTIONS } from './monitoring/config.js';
import { PIPELINE_SECTIONS } from './pipeline/config.js';
import { STATUS_PAGE_SECTIONS } from './status-page/config.js';

const shape = { ...PIPELINE_SECTIONS.shape, ...MONITORING_SECTIONS.shape, ...STATUS_PAGE_SECTIONS.shape };

/** What the configuration file may hold, over all areas. */
export type ServiceFile = z.output<z.ZodObject<typeof shape>>;

/** Every area's sections of the file, and the names that later areas will fill. */
export const FILE_SECTIONS: Sections<typeof shape> = {
  shape,
  check: (raw) => [...(PIPELINE_SECTIONS.check?.(raw) ?? []), ...(MONITORING_SECTIONS.check?.(raw) ?? [])],
  later: ['crisis', 'alerting'],
};
