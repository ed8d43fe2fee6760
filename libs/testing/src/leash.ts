import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

/** What the leash does when the process that holds it is gone. */
export interface LeashOptions {
  readonly pid: number;
  readonly signal: NodeJS.Signals;
  /** Removed once the process is gone: a temporary data directory. */
  readonly removeAfter?: string | undefined;
}

/** Lets a server go without stopping it: its starter has stopped it itself. */
export interface Leash {
  release(): void;
}

/**
 * The shell waits for the end of its input, which comes when the process that holds the other end of the pipe ends in
 * whatever way. Then it stops the server, with SIGKILL if it is still there after 15 seconds.
 */
const SCRIPT = `
read -r _
kill -s "$2" "$1" 2>/dev/null
left=150
while kill -0 "$1" 2>/dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
kill -s KILL "$1" 2>/dev/null
[ -z "$3" ] || rm -rf "$3"
`;

/**
 * Ties the life of a process to that of this one: when this one ends, even by SIGKILL, the other gets the signal. So no
 * test run and no `npm start` leaves a server behind.
 */
export function leash(options: LeashOptions): Leash {
  const shellArguments = [String(options.pid), options.signal.replace(/^SIG/, ''), options.removeAfter ?? ''];
  const holder = spawn('/bin/sh', ['-c', SCRIPT, 'leash', ...shellArguments], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // The shell may be gone before the pipe closes; there is nothing to do about it then.
  holder.stdin.on('error', () => undefined);
  holder.unref();
  if (holder.stdin instanceof Socket) {
    holder.stdin.unref();
  }
  return {
    release: () => {
      holder.kill('SIGKILL');
    },
  };
}
