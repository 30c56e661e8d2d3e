// The browser suite: real Chromium, the real binary, the mock upstream. `npm run e2e`.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: import.meta.dirname,
  test: {
    environment: 'node',
    include: ['*.e2e.ts'],
    globalSetup: ['harness/setup.ts'],
    // One browser and one server at a time: two of them would measure each other.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A line a test, as the rest of the suite has it.
    reporters: ['verbose'],
  },
})
