import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Time, ids and chance are given by constructor; only the kernel asks the machine.
const ASKS_THE_MACHINE = [
  'error',
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'take a Clock and ask it for now()' },
  {
    selector: "CallExpression[callee.type='Identifier'][callee.name='Date']",
    message: 'take a Clock and ask it for now()',
  },
  {
    selector:
      ":matches(ImportSpecifier[imported.name='randomUUID'], CallExpression[callee.property.name='randomUUID'], CallExpression[callee.name='randomUUID'])",
    message: 'take an Ids and ask it for a uuid()',
  },
];

export default defineConfig(
  globalIgnores(['dist', '.build', '.plumbline', 'coverage', 'node_modules', 'bench/results', 'web']),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Handlers of Nest, node:http and event emitters may be async; their rejections are their own affair.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      // A port is often async although this implementation has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      // Classes of Nest are empty where the decorator says it all.
      '@typescript-eslint/no-extraneous-class': 'off',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    files: ['test/**/*.ts'],
    // expect.any(), expect.stringMatching() and JSON answers are `any`; the assertion they stand in is what checks them.
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off' },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/kernel/**'],
    rules: {
      'no-restricted-syntax': ASKS_THE_MACHINE,
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'take a Clock and ask it for nowMs()' },
        { object: 'Math', property: 'random', message: 'take a Random and ask it for next()' },
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: {
        Buffer: 'readonly',
        URL: 'readonly',
        clearInterval: 'readonly',
        clearTimeout: 'readonly',
        console: 'readonly',
        fetch: 'readonly',
        module: 'readonly',
        performance: 'readonly',
        process: 'readonly',
        setInterval: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
);
