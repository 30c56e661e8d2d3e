// Leaves compressed forms beside the built files, so that the server has nothing to compress: `build.rs` takes them along.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin, ResolvedConfig } from 'vite'

/** Pictures and fonts in formats like these are compressed already. */
const TEXT = /\.(css|html|js|json|svg|txt|webmanifest)$/
/** Below it the headers of an answer weigh more than what could be saved. */
const SIZE_MIN_BYTES = 1024

export function compressed(): Plugin {
  let config: ResolvedConfig
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: (resolved) => {
      config = resolved
    },
    async closeBundle() {
      const folder = resolve(config.root, config.build.outDir)
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !TEXT.test(entry.name) || entry.parentPath.includes('/.vite')) continue
        const path = join(entry.parentPath, entry.name)
        const plain = await readFile(path)
        if (plain.length < SIZE_MIN_BYTES) continue
        const brotli = brotliCompressSync(plain, {
          params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length, [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS },
        })
        await writeFile(`${path}.br`, brotli)
        await writeFile(`${path}.gz`, gzipSync(plain, { level: 9 }))
      }
    },
  }
}
