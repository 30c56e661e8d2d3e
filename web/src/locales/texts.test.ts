// Keeps the languages honest: the same texts in all of them, none that is missing, none that nobody shows, and none outside.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parse, type SFCTemplateBlock } from 'vue/compiler-sfc'
import { describe, expect, test } from 'vitest'
import { LANGUAGES } from '.'

// Vitest runs in web/.
const SRC = resolve('src')
const LOCALES = join(SRC, 'locales')

/** Beginnings of keys that are put together where no search sees it, each with the reason. */
const PUT_TOGETHER: Record<string, string> = {}

/** What is the same in every language. */
const NAMES_IN_TEMPLATES = ['GPT-Load', 'P50', 'P90', 'P95', 'P99']
const ATTRIBUTES_THAT_ARE_READ = ['title', 'label', 'placeholder', 'alt', 'aria-label', 'aria-description', 'text', 'description', 'hint']

type Texts = Map<string, string>
type TemplateNode = NonNullable<SFCTemplateBlock['ast']>['children'][number]

function textsOf(language: string): Texts {
  const texts: Texts = new Map()
  for (const file of readdirSync(join(LOCALES, language)).filter((name) => name.endsWith('.json'))) {
    flatten(JSON.parse(readFileSync(join(LOCALES, language, file), 'utf8')) as object, file.slice(0, -'.json'.length), texts)
  }
  return texts
}

function flatten(part: object, prefix: string, texts: Texts): void {
  for (const [name, value] of Object.entries(part)) {
    if (typeof value === 'string') texts.set(`${prefix}.${name}`, value)
    else flatten(value as object, `${prefix}.${name}`, texts)
  }
}

const placeholders = (text: string) => [...new Set([...text.matchAll(/\{\s*(\w+)\s*\}/g)].map(([, name]) => name))].sort()

const all = new Map(LANGUAGES.map((language) => [language, textsOf(language)]))
const english = all.get('en-US') ?? new Map<string, string>()
const spaces = [...new Set([...english.keys()].map((key) => key.split('.')[0] ?? ''))]

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(vue|ts)$/.test(path) && !/\.test\.ts$|\.d\.ts$/.test(path))
  .map((path) => ({ path, code: readFileSync(join(SRC, path), 'utf8') }))

/** Keys written out, and patterns of those with a part that is only known at run time. */
function usedIn(code: string): { keys: string[]; patterns: string[] } {
  const space = `(?:${spaces.join('|')})`
  // In a template, what stands behind `=` is code, but for the key that <I18nT> takes.
  const written = [...code.matchAll(new RegExp(`(?<!(?<!keypath)=)(['"\`])(${space}(?:\\.[\\w-]+)+)\\1`, 'g'))].map(([, , key]) => key ?? '')
  const patterns = [...code.matchAll(new RegExp(`\`(${space}\\.[^\`\\s]*\\$\\{[^\`]*)\``, 'g'))].map(([, pattern]) => pattern ?? '')
  return { keys: written, patterns }
}

const regexOf = (pattern: string) => new RegExp(`^${pattern.replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, '\u0000').replace(/[.]/g, '\\.').replaceAll('\u0000', '[\\w-]+(?:\\.[\\w-]+)*')}$`)

describe('the three languages', () => {
  test.each(LANGUAGES.filter((language) => language !== 'en-US'))('%s has the same texts as English, with the same values in them', (language) => {
    const texts = all.get(language) ?? new Map<string, string>()
    expect([...texts.keys()].sort()).toEqual([...english.keys()].sort())
    const different = [...english].filter(([key, text]) => placeholders(text).join() !== placeholders(texts.get(key) ?? '').join() && !onlyCounts(text, texts.get(key) ?? ''))
    expect(different.map(([key]) => key)).toEqual([])
  })

  test('no text is empty, and only what divides others begins or ends with a blank', () => {
    const isWrong = (text: string) => text === '' || (text !== text.trim() && /\p{L}/u.test(text))
    const wrong = [...all].flatMap(([language, texts]) => [...texts].filter(([, text]) => isWrong(text)).map(([key]) => `${language} ${key}`))
    expect(wrong).toEqual([])
  })
})

/** "One key | {count} keys" needs no number where there is one; other languages write it. */
function onlyCounts(one: string, other: string): boolean {
  const names = new Set([...placeholders(one), ...placeholders(other)])
  const differing = [...names].filter((name) => placeholders(one).includes(name) !== placeholders(other).includes(name))
  return differing.every((name) => name === 'count' || name === 'n')
}

describe('texts and code', () => {
  test('every text that the code names exists', () => {
    const missing = sources.flatMap(({ path, code }) => {
      const { keys, patterns } = usedIn(code)
      const unknown = keys.filter((key) => !english.has(key))
      const empty = patterns.filter((pattern) => ![...english.keys()].some((key) => regexOf(pattern).test(key)))
      return [...unknown, ...empty].map((key) => `${path}: ${key}`)
    })
    expect(missing).toEqual([])
  })

  test('every text is shown somewhere', () => {
    const used = sources.map(({ code }) => usedIn(code))
    const keys = new Set(used.flatMap(({ keys }) => keys))
    const patterns = [...new Set(used.flatMap(({ patterns }) => patterns))].map(regexOf)
    const isPutTogether = (key: string) => Object.keys(PUT_TOGETHER).some((prefix) => key.startsWith(prefix))
    expect([...english.keys()].filter((key) => !keys.has(key) && !patterns.some((pattern) => pattern.test(key)) && !isPutTogether(key))).toEqual([])
  })

  test('no text stands in a template', () => {
    const found = sources
      .filter(({ path }) => path.endsWith('.vue'))
      .flatMap(({ path, code }) => {
        const root = parse(code).descriptor.template?.ast
        return root ? root.children.flatMap((node) => wordsIn(node)).map((words) => `${path}: ${words}`) : []
      })
    expect(found).toEqual([])
  })
})

// Numbers of the compiler's kinds of nodes.
const ELEMENT = 1
const TEXT = 2
const ATTRIBUTE = 6

function wordsIn(node: TemplateNode): string[] {
  if (node.type === TEXT) return hasWords(node.content) ? [node.content.trim()] : []
  if (node.type !== ELEMENT) return []
  const attributes = node.props.flatMap((prop) => (prop.type === ATTRIBUTE && ATTRIBUTES_THAT_ARE_READ.includes(prop.name) && hasWords(prop.value?.content ?? '') ? [`${prop.name}="${prop.value?.content}"`] : []))
  return node.tag === 'code' ? attributes : [...attributes, ...node.children.flatMap((child) => wordsIn(child))]
}

// What is JSON is code, like what stands in <code>.
const isJson = (text: string) => /^\s*[[{]/.test(text)

const hasWords = (text: string) => !isJson(text) && /\p{L}/u.test(NAMES_IN_TEMPLATES.reduce((rest, name) => rest.replaceAll(name, ''), text))

describe('texts of the first view', () => {
  const lists = LANGUAGES.map((language) => {
    const [first, rest] = [`${language}.ts`, `${language}.rest.ts`].map((file) => /\{([\w,]+)\}\.json/.exec(readFileSync(join(LOCALES, file), 'utf8'))?.[1])
    return { first, rest }
  })

  test('are the same in each language, and the rest is the rest', () => {
    expect(new Set(lists.flatMap(({ first, rest }) => [first, rest])).size).toBe(1)
  })

  test('are all that its parts name', () => {
    const first = lists[0]?.first?.split(',') ?? []
    const parts = ['main.ts', 'pages/LoginPage.vue', 'features/frame/ConsoleFrame.vue', 'pages/DashboardPage.vue'].map((path) => join(SRC, path))
    const reached = new Set<string>()
    for (const part of parts) reach(part, reached)
    const late = [...reached].flatMap((path) => {
      const { keys, patterns } = usedIn(codeOf(path))
      const used = new Set([...keys, ...patterns].map((key) => key.split('.')[0] ?? ''))
      return [...used].filter((space) => !first.includes(space)).map((space) => `${relative(SRC, path)}: ${space}`)
    })
    expect(late).toEqual([])
  })
})

const codeOf = (path: string) => sources.find((source) => join(SRC, source.path) === path)?.code ?? ''

/** What a file imports for sure; what it imports later brings its texts with it. */
function reach(path: string, reached: Set<string>): void {
  const code = codeOf(path)
  if (code === '' || reached.has(path)) return
  reached.add(path)
  for (const [, wanted = ''] of code.matchAll(/^(?:import|export)\s[^'"()]*['"]([@.][^'"]*)['"]/gm)) {
    const bare = wanted.startsWith('@/') ? join(SRC, wanted.slice(2)) : resolve(dirname(path), wanted)
    for (const candidate of [bare, `${bare}.ts`, join(bare, 'index.ts')]) reach(candidate, reached)
  }
}
