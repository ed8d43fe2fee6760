import eslint from '@eslint/js';
import n from 'eslint-plugin-n';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const typescriptFiles = ['**/*.ts'];

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      'coverage/**',
      '.local/**',
      'eslint.config.mjs',
      '.dependency-cruiser.cjs',
      'jest.config.mjs',
    ],
  },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: typescriptFiles })),
  {
    plugins: { n, 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        createNodeResolver({
          extensions: ['.ts', '.js', '.mjs'],
          extensionAlias: { '.js': ['.ts', '.js'] },
          conditionNames: ['millrace-source', 'import', 'node', 'default'],
        }),
      ],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-extraneous-dependencies': 'error',
      'import-x/no-default-export': 'error',
      'no-restricted-syntax': ['error', { selector: 'ExportAllDeclaration', message: 'Name what you export.' }],
      'no-restricted-imports': ['error', { patterns: ['@millrace/*/src/*', '@millrace/*/dist/*'] }],
      'n/no-process-env': 'error',
      'no-console': 'error',
      eqeqeq: 'error',
      curly: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 10],
    },
  },
  {
    files: typescriptFiles,
    languageOptions: {
      parserOptions: {
        project: ['libs/*/tsconfig.json', 'apps/*/tsconfig.json', 'test/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/max-params': ['error', { max: 4 }],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        fetch: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        AbortController: 'readonly',
        AbortSignal: 'readonly',
        performance: 'readonly',
      },
    },
  },
  { files: ['**/*.config.ts', '**/main.ts'], rules: { 'n/no-process-env': 'off' } },
  { files: ['scripts/**', 'apps/cli/**'], rules: { 'n/no-process-env': 'off', 'no-console': 'off' } },
  {
    // the tools of the workspace: what they use of the packages is what libs/testing declares
    files: ['scripts/**'],
    rules: { 'import-x/no-extraneous-dependencies': ['error', { packageDir: ['.', './libs/testing'] }] },
  },
  { files: ['test/**'], rules: { 'n/no-process-env': 'off' } },
  { files: ['*.config.{js,mjs,cjs,ts}', 'test/setup/*.mjs'], rules: { 'import-x/no-default-export': 'off' } },
  {
    // constructors that Nest injects may take six (STYLE: bundling dependencies to please a limit hides them)
    files: ['apps/**/*.{controller,service,module}.ts', 'libs/**/*.{controller,service,module}.ts'],
    rules: { '@typescript-eslint/max-params': ['error', { max: 6 }] },
  },
  {
    files: ['**/*.spec.ts', '**/*.int-spec.ts', 'test/**'],
    // every spec may use it; as a dependency it would close a circle between the packages
    settings: { 'import-x/core-modules': ['@millrace/testing'] },
    rules: {
      'max-lines-per-function': 'off',
      'max-lines': 'off',
      'import-x/no-extraneous-dependencies': ['error', { packageDir: ['.', './libs/testing'] }],
    },
  },
  {
    // tests of the whole: they use no package that no app declares
    files: ['test/**'],
    rules: {
      'import-x/no-extraneous-dependencies': [
        'error',
        { packageDir: ['.', './libs/testing', './libs/inbox', './apps/relay', './apps/order'] },
      ],
    },
  },
);
