// Lint rules of the whole workspace. The list of allowed arrows is in tools/verify/layers.mjs, ARCHITECTURE.md draws it.
import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';
import { depConstraints, walls } from './tools/verify/layers.mjs';

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/dist/**', '**/.nx/**', 'libs/*/src/generated/**', 'testdata/**'] },
  ...tseslint.configs.recommended,
  { plugins: { '@nx': nx } },
  {
    files: ['**/*.ts', '**/*.mjs'],
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { enforceBuildableLibDependency: false, allowCircularSelfDependency: false, depConstraints },
      ],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { paths: walls.map(({ name, message }) => ({ name, message })) },
      ],
      'max-lines': ['error', { max: 400 }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'index.ts names its exports one by one.' },
        { selector: 'ExportDefaultDeclaration', message: 'No default exports: a thing has one name.' },
      ],
      'no-console': 'error',
      eqeqeq: ['error', 'always'],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  // Configuration files are read by tools that expect a default export; tools that run before npm may print plainly.
  { files: ['**/*.config.*'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['tools/**'], rules: { 'no-console': 'off' } },
  // Each wall has one library behind it that may import the walled package.
  ...walls.map(({ name, owner }) => ({
    files: owner.map((folder) => `${folder}/**`),
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: walls
            .filter((wall) => wall.name !== name && !wall.owner.some((o) => owner.includes(o)))
            .map(({ name, message }) => ({ name, message })),
        },
      ],
    },
  })),
  prettier,
);
