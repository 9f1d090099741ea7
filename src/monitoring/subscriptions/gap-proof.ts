/** What proves that nothing was lost while a subscription was gone: reconciliation, as the watch knows it. */
export interface GapProof {
  /**
   * Compares what the shop sold in `[fromAt, toAt)` with what arrived, and brings back what did not. Asking twice for
   * one gap is allowed and costs a second run.
   *
   * @param why for people
   * @returns the id of the run
   */
  requestReconciliation(shopId: string, fromAt: Date, toAt: Date, why: string): Promise<string>;
  /** Whether the run has ended with nothing missing. */
  isProved(reconciliationId: string): Promise<boolean>;
}
