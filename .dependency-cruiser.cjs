/** The arrows between libs and apps (docs/ARCHITECTURE.md), held by `npm run deps`. */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'libs-never-import-apps', severity: 'error', from: { path: '^libs/' }, to: { path: '^apps/' } },
    {
      name: 'apps-never-import-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'lib-public-api-only',
      severity: 'error',
      from: { path: '^(apps|libs)/([^/]+)/' },
      to: { path: '^libs/([^/]+)/src/(?!(index|admin|cls|testing|prometheus)\\.ts$)', pathNot: '^libs/$2/' },
    },
    {
      name: 'broker-clients-live-in-transport',
      severity: 'error',
      // libs/testing makes topics and asks for offsets with the client that is there
      from: { path: '^(apps|libs)/', pathNot: '^libs/(transport|testing)/' },
      to: { path: 'node_modules/(kafkajs|@platformatic/kafka|@aws-sdk|amqplib)/' },
    },
    {
      name: 'arrows-point-down',
      severity: 'error',
      from: { path: '^libs/(events|schema|outbox|capture|transport|inbox)/', pathNot: '\\.(spec|int-spec)\\.ts$' },
      to: { path: '^libs/(relay|http|service|contracts|testing)/' },
    },
    {
      name: 'testing-is-for-tests',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: '(\\.(spec|int-spec)\\.ts$)|^libs/testing/' },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '(main|\\.spec|\\.int-spec|\\.config)\\.ts$|^apps/cli/millrace\\.mjs$' },
      to: {},
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['millrace-source', 'import', 'require', 'node', 'default'],
    },
  },
};
