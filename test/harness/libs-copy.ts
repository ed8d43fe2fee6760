import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A change of a built file of a lib. */
export interface LibEdit {
  /** Below `libs`, for example `inbox/dist/claim.sql.js`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** How often the text must be there, and is replaced. Default once. */
  readonly times?: number;
}

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/**
 * Copies the built libs, apps and test programs into a folder, with some edits; the installed packages are linked.
 * Returns the folder in which a program of `dist/test` has its place, so that it runs with the edited libs; those of
 * `dist/apps` are beside it.
 */
export function copyWithEdits(folder: string, edits: readonly LibEdit[]): string {
  const programs = join(folder, 'dist', 'test');
  for (const kind of ['test', 'apps']) {
    cpSync(join(ROOT, 'dist', kind), join(folder, 'dist', kind), { recursive: true });
  }
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  linkPackages(join(folder, 'node_modules'));
  for (const { file, find, replace, times = 1 } of edits) {
    const path = join(folder, 'node_modules', '@millrace', file);
    const text = readFileSync(path, 'utf8');
    const parts = text.split(find);
    if (parts.length - 1 !== times) {
      const found = `${parts.length - 1} times instead of ${times}`;
      throw new Error(`${file} has the text ${JSON.stringify(find)} ${found}: adapt the edit.`);
    }
    writeFileSync(path, parts.join(replace));
  }
  return programs;
}

function linkPackages(target: string): void {
  const installed = join(ROOT, 'node_modules');
  mkdirSync(join(target, '@millrace'), { recursive: true });
  for (const entry of readdirSync(installed).filter((name) => name !== '@millrace')) {
    symlinkSync(join(installed, entry), join(target, entry));
  }
  for (const lib of readdirSync(join(ROOT, 'libs'))) {
    const from = join(ROOT, 'libs', lib);
    const to = join(target, '@millrace', lib);
    cpSync(join(from, 'package.json'), join(to, 'package.json'));
    cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true });
  }
}
