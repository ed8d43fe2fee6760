import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in these, on every architecture that Node runs on. */
const TICK_MS = 10;

/** Milliseconds of processor time that a process, all its threads, has used; of Linux. */
export function processCpuMs(pid: number): number {
  const [user, system] = statFields(pid).slice(11, 13).map(Number);
  return ((user ?? 0) + (system ?? 0)) * TICK_MS;
}

/** The same of a process and the children that it has now, as PostgreSQL's backends are; of Linux. */
export function familyCpuMs(pid: number): number {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
  return [pid, ...children].reduce((sum, member) => sum + processCpuMs(member), 0);
}

/** The most memory that a process has had resident so far, in MiB; of Linux. */
export function peakMemoryMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024;
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
