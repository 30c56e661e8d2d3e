// Measures the script that the first view needs, gzipped: `npm run build`, then `node scripts/measure-first-load.mjs`. Fails above
// the budget. Counted is what the entry imports, the largest of the languages, and the page with all that it imports.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const BUDGET_BYTES = 150_000

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const manifest = JSON.parse(readFileSync(`${dist}.vite/manifest.json`, 'utf8'))

const ENTRY = 'index.html'
const LANGUAGES = ['zh-CN', 'en-US', 'ja-JP'].map((language) => `src/locales/${language}.ts`)
const VIEWS = {
  '/': ['src/features/frame/ConsoleFrame.vue', 'src/pages/DashboardPage.vue'],
  '/login': ['src/pages/LoginPage.vue'],
}

function withImports(names, seen = new Set()) {
  for (const name of names) {
    if (seen.has(name)) continue
    const chunk = manifest[name]
    if (!chunk) throw new Error(`The build has no chunk ${name}: it was renamed, tell this script so`)
    seen.add(name)
    withImports(chunk.imports ?? [], seen)
  }
  return seen
}

const sizes = new Map()
function sizeOf(file) {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(dist + file)).length)
  return sizes.get(file)
}

let isOver = false
for (const [path, pages] of Object.entries(VIEWS)) {
  const [files, bytes] = LANGUAGES.map((language) => {
    const files = ['theme.js', ...[...withImports([ENTRY, language, ...pages])].map((name) => manifest[name].file)].filter((file) => file.endsWith('.js'))
    return [files, files.reduce((sum, file) => sum + sizeOf(file), 0)]
  }).sort((one, other) => other[1] - one[1])[0]
  console.log(`${path}: ${(bytes / 1000).toFixed(1)} kB of script gzipped in ${files.length} files (at most ${BUDGET_BYTES / 1000} kB)`)
  for (const file of files.sort((one, other) => sizeOf(other) - sizeOf(one))) console.log(`  ${(sizeOf(file) / 1000).toFixed(1).padStart(6)}  ${file}`)
  isOver ||= bytes > BUDGET_BYTES
}
if (isOver) {
  console.error('The first load is over its budget: load what it does not need later.')
  process.exit(1)
}
