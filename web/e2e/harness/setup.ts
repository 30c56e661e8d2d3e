// Says what is missing before the first test fails for it.
import { accessSync, constants } from 'node:fs'
import { BINARIES } from './binaries'

export default function setup(): void {
  for (const [name, { path, hint }] of Object.entries(BINARIES)) {
    try {
      accessSync(path, constants.X_OK)
    } catch {
      throw new Error(`the browser suite needs ${name} at ${path}: ${hint}`)
    }
  }
}
