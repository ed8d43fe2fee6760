import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COPIED = ['libs', 'test', 'jest.config.mjs', 'package.json', 'tsconfig.base.json'];
/** Folders that jest's configuration names. */
const EMPTY = ['apps', 'scripts'];

/** A copy of the workspace's sources that can be changed and tested; the installed packages are linked. */
export class WorkspaceCopy {
  constructor(root) {
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-mutations-'));
    for (const entry of COPIED) {
      cpSync(join(root, entry), join(this.folder, entry), { recursive: true, filter: isSource });
    }
    for (const entry of EMPTY) {
      mkdirSync(join(this.folder, entry));
    }
    this.#linkPackages(root);
  }

  /** Applies the edits of one rule; returns a function that takes them back. Throws when a text is not there exactly once. */
  apply(edits) {
    const before = new Map();
    for (const { file, find, replace } of edits) {
      const path = join(this.folder, file);
      const source = readFileSync(path, 'utf8');
      const found = source.split(find).length - 1;
      if (found !== 1) {
        this.#restore(before);
        throw new Error(`${file} has the text ${JSON.stringify(find)} ${found} times instead of once: adapt the rule.`);
      }
      before.set(path, before.get(path) ?? source);
      writeFileSync(
        path,
        source.replace(find, () => replace),
      );
    }
    return () => this.#restore(before);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #restore(before) {
    for (const [path, source] of before) {
      writeFileSync(path, source);
    }
  }

  #linkPackages(root) {
    const installed = join(root, 'node_modules');
    const linked = join(this.folder, 'node_modules');
    mkdirSync(join(linked, '@millrace'), { recursive: true });
    for (const entry of readdirSync(installed)) {
      if (entry !== '@millrace') {
        symlinkSync(join(installed, entry), join(linked, entry));
      }
    }
    for (const lib of readdirSync(join(this.folder, 'libs'))) {
      symlinkSync(join(this.folder, 'libs', lib), join(linked, '@millrace', lib));
    }
  }
}

function isSource(path) {
  return !/[/\\](dist|node_modules)$/.test(path);
}
