// The programs that the suite runs, each named by a variable or found where the build leaves it.
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../..')
const built = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug')

export const SCREENSHOTS = join(root, 'docs/screenshots')

export const BINARIES = {
  gateway: {
    path: process.env.GPT_LOAD_BINARY ?? join(built, 'gpt-load'),
    hint: 'make console && cargo build --workspace, or name it in GPT_LOAD_BINARY',
  },
  upstream: {
    path: process.env.MOCK_UPSTREAM_BINARY ?? join(built, 'mock-upstream'),
    hint: 'cargo build --workspace, or name it in MOCK_UPSTREAM_BINARY',
  },
  browser: {
    path: process.env.CHROMIUM_BINARY ?? '/usr/bin/chromium',
    hint: 'scripts/install-browser installs it, or name it in CHROMIUM_BINARY',
  },
}
