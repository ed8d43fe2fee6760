import { type FaultProxy, type SinkFaults } from '@millrace/testing';

/** Of a batch of the suite, which takes some 160,000 bytes. */
const PART_BYTES = 60_000;

/** Faults of connections that go through TCP proxies. */
export function tcpFaults(proxies: readonly FaultProxy[]): SinkFaults {
  const all = (act: (proxy: FaultProxy) => void) => (): void => {
    proxies.forEach(act);
  };
  return {
    cut: all((proxy) => {
      proxy.set({ kind: 'cut', direction: 'to-server', afterBytes: 0 });
      proxy.reset();
    }),
    silence: all((proxy) => {
      proxy.set({ kind: 'blackhole' });
    }),
    loseReplies: all((proxy) => {
      proxy.set({ kind: 'drop', direction: 'to-client' });
    }),
    breakBatches: all((proxy) => {
      proxy.set({ kind: 'cut', direction: 'to-server', afterBytes: PART_BYTES });
    }),
    heal: all((proxy) => {
      proxy.heal();
    }),
  };
}
