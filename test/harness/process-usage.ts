import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in these, on every architecture that Node runs on. */
const TICK_MS = 10;

/** In the fields of `statFields`: user and system time of a process, then those of its children that have ended. */
const TIME_FIELDS = { own: [11, 13], withEnded: [11, 15] } as const;

/** Milliseconds of processor time that a process, all its threads, has used; of Linux. */
export function processCpuMs(pid: number): number {
  return cpuMsOf(pid, 'own');
}

/** The same of a process and its children, as PostgreSQL's backends are, also those that have ended; of Linux. */
export function familyCpuMs(pid: number): number {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
  return children.reduce((sum, child) => sum + cpuMsOfChild(child), cpuMsOf(pid, 'withEnded'));
}

/** The most memory that a process has had resident so far, in MiB; of Linux. */
export function peakMemoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024;
}

function cpuMsOf(pid: number, whose: keyof typeof TIME_FIELDS): number {
  const ticks = statFields(pid)
    .slice(...TIME_FIELDS[whose])
    .map(Number);
  return ticks.reduce((sum, each) => sum + each, 0) * TICK_MS;
}

function cpuMsOfChild(pid: number): number {
  try {
    return cpuMsOf(pid, 'own');
  } catch {
    return 0; // it has ended since the listing: its parent has its time from now on
  }
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    return undefined; // it ended between the listing and the reading
  }
}

/** From the third field on: the second is the program's name in parentheses and may hold spaces. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
