// The three languages: which one is shown, how its texts are fetched, and how numbers and times are written in it.
import { nextTick } from 'vue'
import { createI18n, type LocaleMessages, type VueMessageType } from 'vue-i18n'

export const LANGUAGES = ['zh-CN', 'en-US', 'ja-JP'] as const
export type Language = (typeof LANGUAGES)[number]

/** Each in its own words, so that everybody finds his own. */
export const LANGUAGE_NAMES: Record<Language, string> = { 'zh-CN': '简体中文', 'en-US': 'English', 'ja-JP': '日本語' }

const STORED_AS = 'gpt-load.language'

const fetched = new Set<Language>()

type Texts = LocaleMessages<VueMessageType>[string]

// A file a feature and language; one chunk a language, fetched when it is shown.
const FILES = {
  'zh-CN': () => import('./zh-CN'),
  'en-US': () => import('./en-US'),
  'ja-JP': () => import('./ja-JP'),
} satisfies Record<Language, () => Promise<{ default: unknown }>>

export const i18n = createI18n<false>({
  legacy: false,
  locale: 'en-US',
  fallbackLocale: false,
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

/** Shows the console in a language; texts already on the page change without a reload. */
export async function showLanguage(language: Language): Promise<void> {
  if (!fetched.has(language)) {
    const texts = await FILES[language]()
    fetched.add(language)
    i18n.global.setLocaleMessage(language, texts.default as unknown as Texts)
  }
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
