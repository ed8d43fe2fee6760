import { type Registry } from 'prom-client';
import { type RouteLabels } from '../metrics/route-labels.js';
import { TakeOverMeters, type TakeOverObserver } from '../metrics/take-over-meters.js';
import { TakeOverLog } from './take-over-log.js';

/** Take-overs, in the metrics and in the log. */
export function takeOverObserver(registry: Registry, routes: readonly RouteLabels[]): TakeOverObserver {
  const observers = [new TakeOverMeters(registry, routes), new TakeOverLog()];
  const each = (tell: (observer: TakeOverObserver) => void): void => {
    observers.forEach(tell);
  };
  return {
    tailsRead: (read) => {
      each((observer) => {
        observer.tailsRead(read);
      });
    },
    tailNotRead: (unread) => {
      each((observer) => {
        observer.tailNotRead(unread);
      });
    },
    lossAccepted: (accepted) => {
      each((observer) => {
        observer.lossAccepted(accepted);
      });
    },
    zombieRecords: (seen) => {
      each((observer) => {
        observer.zombieRecords(seen);
      });
    },
  };
}
