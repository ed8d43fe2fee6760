import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** The processes whose parent is this one, now. */
export function childrenOf(pid: number): number[] {
  return parentsByPid()
    .filter((entry) => entry.parent === pid)
    .map((entry) => entry.pid);
}

/** Whether a process with this id exists; a zombie that its parent has not collected yet does not count. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return process.platform !== 'linux' || readStat(pid)?.state !== 'Z';
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
}

function parentsByPid(): ProcessEntry[] {
  if (process.platform !== 'linux') {
    const listing = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
    return listing
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([pid, parent]) => (pid === undefined || parent === undefined ? [] : [{ pid, parent }]));
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readStat(Number(name));
      return stat === undefined ? [] : [{ pid: Number(name), parent: stat.parent }];
    });
}

function readStat(pid: number): { state: string; parent: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it ended between the listing and the reading
  }
  // The second field is the program's name in parentheses and may hold spaces.
  const [state = '', parent = '0'] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent) };
}
