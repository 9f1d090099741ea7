// One direction: an area imports only the areas before it, and of those only their contract.ts.
const AREAS = ['pipeline', 'monitoring', 'alerting', 'status-page', 'console'];
const EVERY_AREA = `^src/(?:${AREAS.join('|')})/`;
// Who wires everything together: main, the application's module, and nothing else.
const WIRING = '^src/(?:main|app\\.module|config-sections)\\.ts$';

const backwards = AREAS.slice(0, -1).map((area, index) => ({
  name: `${area}-knows-nothing-after-it`,
  comment: `${area}/ comes before ${AREAS.slice(index + 1).join(', ')}: record a fact and let the next area read it.`,
  severity: 'error',
  from: { path: `^src/${area}/` },
  to: { path: `^src/(?:${AREAS.slice(index + 1).join('|')})/` },
}));

const throughContracts = AREAS.slice(1).map((area, index) => ({
  name: `${area}-reads-contracts-only`,
  comment: 'Of another area only its contract.ts may be imported.',
  severity: 'error',
  from: { path: `^src/${area}/` },
  to: { path: `^src/(?:${AREAS.slice(0, index + 1).join('|')})/`, pathNot: '^src/[^/]+/contract\\.ts$' },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...backwards,
    ...throughContracts,
    {
      name: 'kernel-knows-no-area',
      severity: 'error',
      from: { path: '^src/kernel/' },
      to: { path: '^src/(?!kernel/)' },
    },
    {
      name: 'areas-do-not-know-the-wiring',
      severity: 'error',
      from: { path: [EVERY_AREA, '^src/kernel/'] },
      to: { path: WIRING },
    },
    {
      name: 'only-the-wiring-knows-all-areas',
      comment: 'A file directly under src/ other than main.ts and app.module.ts imports no area.',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$', pathNot: WIRING },
      to: { path: EVERY_AREA },
    },
    {
      name: 'sandbox-is-the-outside-world',
      comment: 'It speaks HTTP with the service and shares no code with it, or both could be wrong in the same way.',
      severity: 'error',
      from: { path: '^sandbox/' },
      to: { path: '^(?:src|test|bench|simulation)/' },
    },
    {
      name: 'service-knows-no-sandbox',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(?:sandbox|test|bench|simulation)/' },
    },
    {
      name: 'simulation-is-for-tests',
      comment:
        'It brings the service and the outside world together, as the bench and the tests do; nobody builds on it.',
      severity: 'error',
      from: { path: '^bench/' },
      to: { path: '^simulation/' },
    },
    {
      name: 'simulation-stands-by-itself',
      severity: 'error',
      from: { path: '^simulation/' },
      to: { path: '^(?:test|bench)/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^(?:src|sandbox|bench|simulation)/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphans',
      comment: 'A file that nobody imports and that imports nobody is left over.',
      severity: 'error',
      from: { orphan: true, path: '^(?:src|sandbox|simulation)/', pathNot: '(?:/main|/contract)\\.ts$' },
      to: {},
    },
    {
      name: 'no-development-packages-in-the-service',
      severity: 'error',
      from: { path: '^(?:src|sandbox)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
