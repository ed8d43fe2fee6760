import { CONFORMANCE_DRAIN_MS } from '@millrace/testing';

/** Milliseconds: how soon the sinks of the suite give up. */
export const LIMITS = { requestTimeoutMs: 2_000, sendDeadlineMs: 4_000, drainMs: CONFORMANCE_DRAIN_MS } as const;

/** For a machine that is busy. */
export const PATIENCE_MS = 30_000;
