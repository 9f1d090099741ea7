import type { z } from 'zod';
import type { Sections } from './kernel/config.js';
import { ALERTING_SECTIONS } from './alerting/config.js';
import { MONITORING_SECTIONS } from './monitoring/config.js';
import { PIPELINE_SECTIONS } from './pipeline/config.js';
import { STATUS_PAGE_SECTIONS } from './status-page/config.js';

const shape = {
  ...PIPELINE_SECTIONS.shape,
  ...MONITORING_SECTIONS.shape,
  ...ALERTING_SECTIONS.shape,
  ...STATUS_PAGE_SECTIONS.shape,
};

/** What the configuration file may hold, over all areas. */
export type ServiceFile = z.output<z.ZodObject<typeof shape>>;

/** Every area's sections of the file, and the names that later areas will fill. */
export const FILE_SECTIONS: Sections<typeof shape> = {
  shape,
  check: (...given) =>
    [PIPELINE_SECTIONS, MONITORING_SECTIONS, ALERTING_SECTIONS, STATUS_PAGE_SECTIONS].flatMap(
      ({ check }) => check?.(...given) ?? [],
    ),
  later: ['crisis'],
};
