import { globSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { relative } from 'node:path';

const SERVER_SPECS = ['**/*.int-spec.ts', '**/*.e2e-spec.ts'];

/** Starts the run's PostgreSQL and Kafka if specs that need them are selected, and passes their addresses on. */
export default async function globalSetup(globalConfig, projectConfig) {
  if (!selectsServerSpecs(globalConfig, projectConfig)) {
    return;
  }
  const { startTestServers } = await importSource('../../libs/testing/src/test-servers.ts');
  const servers = await startTestServers({
    postgresUrl: process.env.MILLRACE_TEST_POSTGRES_URL,
    kafkaBrokers: process.env.MILLRACE_TEST_KAFKA_BROKERS,
  });
  process.env.MILLRACE_TEST_POSTGRES_URL = servers.postgresUrl;
  process.env.MILLRACE_TEST_KAFKA_BROKERS = servers.kafkaBrokers.join(',');
  globalThis.millraceTestServers = servers;
}

function selectsServerSpecs({ testPathPatterns, rootDir }, { testMatch, roots }) {
  if (!testMatch.some((pattern) => SERVER_SPECS.includes(pattern))) {
    return false;
  }
  const patterns = testPathPatterns.patterns.map((pattern) => new RegExp(pattern, 'i'));
  const isSelected = (path) => patterns.length === 0 || patterns.some((pattern) => pattern.test(path));
  return roots.some((root) =>
    globSync(SERVER_SPECS, { cwd: root, exclude: (name) => name === 'node_modules' || name === 'dist' }).some(
      (file) => isSelected(`${root}/${file}`) || isSelected(relative(rootDir, `${root}/${file}`)),
    ),
  );
}

/** Imports a TypeScript source of the workspace as it is: Node strips the types, so no build is needed before the tests. */
async function importSource(path) {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const isFromSource = context.parentURL?.endsWith('.ts') === true;
      const isRelative = specifier.startsWith('.');
      return next(isFromSource && isRelative ? specifier.replace(/\.js$/, '.ts') : specifier, {
        ...context,
        conditions: ['millrace-source', ...context.conditions],
      });
    },
  });
  try {
    return await import(new URL(path, import.meta.url).href);
  } finally {
    hooks.deregister();
  }
}
