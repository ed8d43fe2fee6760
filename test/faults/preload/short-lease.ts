import { DEFAULT_ROUTE_TUNING, DEFAULT_SHARING_TUNING } from '@millrace/relay';

/* Loaded into a relay under test, so that a run sees several times as many take-overs. */

const leaseTtlMs = Number(process.env['MILLRACE_FAULTS_LEASE_MS']);
Object.assign(DEFAULT_ROUTE_TUNING, { leaseTtlMs, leaseMarginMs: leaseTtlMs / 5, standbyLookMs: leaseTtlMs / 10 });
Object.assign(DEFAULT_SHARING_TUNING, {
  beatMs: leaseTtlMs / 4,
  presenceTtlMs: leaseTtlMs * 0.8,
  graceMs: leaseTtlMs / 2,
  settlingMs: leaseTtlMs,
});
