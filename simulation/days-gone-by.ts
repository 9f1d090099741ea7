/** Signals that tell of the last days and not of now: when all is well again, these may still be open. */
export const ABOUT_DAYS_GONE_BY: readonly string[] = ['slo-burn', 'page-volume-high'];
