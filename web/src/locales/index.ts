// The three languages: which one is shown, how its texts are fetched, and how numbers and times are written in it.
import { nextTick } from 'vue'
import { createI18n, type LocaleMessages, type VueMessageType } from 'vue-i18n'
import { compileMessage } from './messages'

export const LANGUAGES = ['zh-CN', 'en-US', 'ja-JP'] as const
export type Language = (typeof LANGUAGES)[number]

/** Each in its own words, so that everybody finds his own. */
export const LANGUAGE_NAMES: Record<Language, string> = { 'zh-CN': '简体中文', 'en-US': 'English', 'ja-JP': '日本語' }

const STORED_AS = 'gpt-load.language'

type Texts = LocaleMessages<VueMessageType>[string]
type Part = 'first' | 'rest'

// A file a feature and language; two chunks a language: what the first view needs, and the rest.
const FILES = {
  'zh-CN': { first: () => import('./zh-CN'), rest: () => import('./zh-CN.rest') },
  'en-US': { first: () => import('./en-US'), rest: () => import('./en-US.rest') },
  'ja-JP': { first: () => import('./ja-JP'), rest: () => import('./ja-JP.rest') },
} satisfies Record<Language, Record<Part, () => Promise<{ default: Record<string, unknown> }>>>

export const i18n = createI18n<false>({
  legacy: false,
  locale: 'en-US',
  fallbackLocale: false,
  messageCompiler: (message) => compileMessage(message as string),
  missingWarn: import.meta.env.DEV,
  fallbackWarn: false,
})

export function currentLanguage(): Language {
  return i18n.global.locale.value as Language
}

/** The one chosen before, else the first of the browser's that we have, else English. */
export function preferredLanguage(stored: string | null, wanted: readonly string[]): Language {
  const known = LANGUAGES.find((language) => language === stored)
  if (known) return known
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0]
    const match = LANGUAGES.find((language) => language.toLowerCase().split('-')[0] === base)
    if (match) return match
  }
  return 'en-US'
}

export function firstLanguage(): Language {
  return preferredLanguage(read(), navigator.languages)
}

const fetched = new Map<string, Promise<void>>()

function fetchTexts(language: Language, part: Part): Promise<void> {
  const name = `${language} ${part}`
  const running = fetched.get(name)
  if (running) return running
  const fetching = FILES[language][part]().then(({ default: files }) => {
    const texts = Object.entries(files).map(([path, of]) => [path.slice(path.lastIndexOf('/') + 1, -'.json'.length), of])
    i18n.global.mergeLocaleMessage(language, Object.fromEntries(texts) as Texts)
  })
  fetched.set(name, fetching)
  // What could not be fetched is tried again when it is needed again.
  fetching.catch(() => fetched.delete(name))
  return fetching
}

let areAllWanted = false

/** The texts of every view, in the language shown and from now on in each that is chosen. Views other than the first wait for it. */
export function allTexts(): Promise<void> {
  areAllWanted = true
  return fetchTexts(currentLanguage(), 'rest')
}

/** Shows the console in a language; texts already on the page change without a reload. */
export async function showLanguage(language: Language): Promise<void> {
  await Promise.all([fetchTexts(language, 'first'), areAllWanted ? fetchTexts(language, 'rest') : null])
  i18n.global.locale.value = language
  document.documentElement.lang = language
  await nextTick()
}

/** Shows a language and remembers it on this browser. */
export async function chooseLanguage(language: Language): Promise<void> {
  await showLanguage(language)
  try {
    localStorage.setItem(STORED_AS, language)
  } catch {
    // No storage: the choice lasts as long as the page.
  }
}

function read(): string | null {
  try {
    return localStorage.getItem(STORED_AS)
  } catch {
    return null
  }
}
