import { listenToHarness, standStill, tellHarness } from '../../../harness/link.js';

/** Where a consumer can be stopped. */
export type Barrier =
  | 'before-claim'
  | 'after-claim'
  | 'after-handler'
  | 'after-commit'
  | 'before-late-claim'
  | 'before-progress'
  | 'after-progress';

let armed = '';
let passesLeft = 0;

/** Lets the harness name a barrier and how many times it is passed before the process stops there. */
export function listenForBarriers(): void {
  listenToHarness((line) => {
    const [, barrier, passes] = /^arm (\S+) (\d+)$/.exec(line) ?? [];
    if (barrier !== undefined) {
      armed = barrier;
      passesLeft = Number(passes);
    }
  });
}

/** Stops the process (SIGSTOP) when this is the barrier, and the pass, that the harness has named. */
export function pass(barrier: Barrier): void {
  if (armed !== barrier) {
    return;
  }
  passesLeft -= 1;
  if (passesLeft <= 0) {
    armed = '';
    tellHarness(`reached ${barrier}`);
    standStill();
  }
}
