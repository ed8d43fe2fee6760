import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const LIBS = new URL('../libs', import.meta.url).pathname;
/** Packages of which a service installs the one that it uses. */
const OPTIONAL = ['kafkajs', '@platformatic/kafka', '@aws-sdk/client-sqs'];
/** Private libraries for tests, which have all packages. */
const PRIVATE = ['testing'];

function sourcesOf(lib: string): readonly string[] {
  return readdirSync(join(LIBS, lib, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/(spec|testing[^/]*)\b/.test(file))
    .map((file) => join(LIBS, lib, 'src', file));
}

/** Also `import { type X }`: the compiler leaves `import {}` of it, which loads the package. */
function staticImports(file: string): readonly string[] {
  const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm);
  return [...imports].map(([, specifier]) => specifier ?? '').filter((specifier) => OPTIONAL.includes(specifier));
}

describe('a library that is installed with one client of a broker', () => {
  const libs = readdirSync(LIBS).filter((lib) => !PRIVATE.includes(lib));

  it.each(libs)('does not load the others: %s', (lib) => {
    const found = sourcesOf(lib).flatMap((file) =>
      staticImports(file).map((specifier) => `${file} loads ${specifier}`),
    );
    expect(found).toEqual([]);
  });
});
