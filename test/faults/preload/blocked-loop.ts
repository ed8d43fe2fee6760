import { listenToHarness, tellHarness } from '../../harness/link.js';

/* Loaded into a relay under test: `block 15000` keeps its event loop busy for so many milliseconds. */

listenToHarness((line) => {
  const milliseconds = /^block (\d+)$/.exec(line)?.[1];
  if (milliseconds !== undefined) {
    const endMs = performance.now() + Number(milliseconds);
    while (performance.now() < endMs) {
      // busy
    }
    tellHarness('unblocked');
  }
});
