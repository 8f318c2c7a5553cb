'use strict';

// Two workers that each compute on every core would spend their time waiting for one another.
process.env['OMP_NUM_THREADS'] ??= '1';

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.[jt]s$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true } } }],
  },
  setupFilesAfterEnv: ['<rootDir>/test/matchers.ts'],
  // dist/ and prebuilds/ hold a second package.json's worth of files after packing.
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/build/'],
  maxWorkers: 2,
  testTimeout: 60_000,
  collectCoverageFrom: ['lib/**/*.{ts,js}', '!lib/**/*.d.ts'],
};
