import { writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** The file descriptor that the harness has opened for this process. */
const LINK = 3;

/** Tells the harness; the line has left this process when the call returns. */
export function tellHarness(line: string): void {
  writeSync(LINK, `${line}\n`);
}

/** Calls `listener` with each line from the harness; does not keep the process alive. */
export function listenToHarness(listener: (line: string) => void): void {
  const socket = new Socket({ fd: LINK });
  socket.unref();
  socket.on('data', (chunk) => {
    for (const line of chunk.toString().split('\n')) {
      listener(line);
    }
  });
  socket.on('error', () => undefined); // the harness is gone, and with it this process soon
}

/** Stops this process in the middle of what it does: nothing runs any more until it is killed. */
export function freeze(): never {
  for (;;) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
}

/** Stops this process in the middle of what it does, until it is sent SIGCONT, and then goes on. */
export function standStill(): void {
  process.kill(process.pid, 'SIGSTOP');
}
