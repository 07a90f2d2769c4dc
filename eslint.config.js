/**
 * ESLint for what a compiler with types can see: forgotten promises, `any`, unsafe conversions.
 * Our own rules (who imports whom, sizes, banned words) are in test/tidy.test.ts, layout is
 * Prettier's.
 */
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration, ExportSpecifier[exported.name="default"]',
  message: 'Named exports only: one name for a thing, everywhere.',
};

export default defineConfig(
  globalIgnores(['dist/', 'docs/', 'coverage/', 'bench/results/', 'test/fixtures/']),
  eslint.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { eqeqeq: 'error', 'prefer-const': 'error', 'object-shorthand': 'error' },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', noDefaultExport],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      // Numbers in messages are what messages are for.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `(fd) => closeSync(fd)` is the shortest way to write a thin binding.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Layout constants are checked against each other, untrusted input against its type.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // noUncheckedIndexedAccess would otherwise cost a branch at every access to a typed array.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Only the author of a query knows the type of its rows.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // The rules of the compiler (noUnusedLocals, noUnusedParameters) say the same.
      '@typescript-eslint/no-unused-vars': 'off',
    },
  },
  {
    files: ['src/cli/**', 'bench/**', 'examples/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['*.config.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    // Tests look into JSON, asymmetric matchers (which are `any`) and things made wrong on purpose.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
);
