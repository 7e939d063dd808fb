import js from '@eslint/js';

const browser = Object.fromEntries(
  [
    'window', 'document', 'location', 'history', 'navigator', 'console', 'fetch', 'URL',
    'URLSearchParams', 'AbortController', 'AbortSignal', 'EventTarget', 'Event', 'CustomEvent',
    'IntersectionObserver', 'MediaSource', 'setTimeout', 'clearTimeout', 'setInterval',
    'clearInterval', 'performance', 'createImageBitmap', 'mpegts',
  ].map((name) => [name, 'readonly']),
);

export default [
  { ignores: ['node_modules/'] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: browser },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-implicit-globals': 'error',
      'no-shadow': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      complexity: ['error', 12],
      'max-lines-per-function': ['error', 60],
    },
  },
];
