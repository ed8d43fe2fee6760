/** Which way bytes go. */
export type LinkDirection = 'to-server' | 'to-client';

/**
 * What a `FaultProxy` does to a connection from now on.
 *
 * - `pass`: nothing
 * - `delay`: each chunk arrives `ms` later, give or take up to `jitterMs`, in either direction, in order
 * - `throttle`: at most so many bytes a second in each direction
 * - `blackhole`: nothing arrives any more, neither bytes nor the end of a connection; new connections are accepted and
 *   hear nothing. What was on its way arrives when the fault ends, as with a network that comes back in time
 * - `drop`: bytes in this direction are swallowed while the other one flows: with `to-client` the answers are lost, so
 *   the outcome of a request is unknown. A direction that has lost bytes never passes any again
 * - `cut`: after so many more bytes in this direction the connection is reset
 */
export type LinkFault =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly ms: number; readonly jitterMs: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'drop'; readonly direction: LinkDirection }
  | { readonly kind: 'cut'; readonly direction: LinkDirection; readonly afterBytes: number };

export const PASS: LinkFault = { kind: 'pass' };
