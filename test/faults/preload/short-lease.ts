import { DEFAULT_ROUTE_TUNING } from '@millrace/relay';

/* Loaded into a relay under test, so that a run sees several times as many take-overs. */

const leaseTtlMs = Number(process.env['MILLRACE_FAULTS_LEASE_MS']);
Object.assign(DEFAULT_ROUTE_TUNING, { leaseTtlMs, leaseMarginMs: leaseTtlMs / 5, standbyLookMs: leaseTtlMs / 10 });
