import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../setup/paths.mjs';

const CODE = /^(```+|~~~+)[\s\S]*?^\1|`[^`\n]*`/gm;
const LINK = /\]\(<?([^)\s>]+)[^)]*\)|^\[[^\]]+\]: *<?([^\s>]+)/gm;

/** Whether every relative link of the documents leads to a file; prints those that do not. */
export function checkLinks(root = ROOT) {
  const broken = documents(root).flatMap((path) =>
    brokenLinks(readFileSync(join(root, path), 'utf8'), dirname(join(root, path))).map((link) => `${path}: ${link}`),
  );
  broken.forEach((line) => console.log(`${line} leads nowhere`));
  return broken.length === 0;
}

/** The relative links of a Markdown text, which lies in `folder`, that lead to no file or folder. */
export function brokenLinks(text, folder) {
  return [...text.replaceAll(CODE, '').matchAll(LINK)]
    .map(([, inline, reference]) => inline ?? reference)
    .filter((link) => !/^([a-z][a-z\d+.-]*:|#)/i.test(link))
    .filter((link) => !existsSync(join(folder, decodeURIComponent(link.replace(/[#?].*$/, '')))));
}

function documents(root) {
  const readmes = ['libs', 'apps'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((folder) => join(parent, folder, 'README.md')),
  );
  const docs = readdirSync(join(root, 'docs'), { recursive: true }).map((path) => join('docs', path));
  return ['README.md', 'CONTRIBUTING.md', ...docs, ...readmes].filter(
    (path) => path.endsWith('.md') && existsSync(join(root, path)),
  );
}
