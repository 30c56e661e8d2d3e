// What the console says, by the keys of its languages, so that a better wording fails no test.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Language } from './visit'

type Texts = { [key: string]: string | Texts }

/** The text of `frame.sections.groups`; a placeholder ends it. */
export function text(key: string, language: Language = 'en-US'): string {
  const [feature = '', ...path] = key.split('.')
  const file = join(import.meta.dirname, '../../src/locales', language, `${feature}.json`)
  const found = path.reduce<string | Texts | undefined>((texts, part) => (typeof texts === 'object' ? texts[part] : undefined), JSON.parse(readFileSync(file, 'utf8')) as Texts)
  if (typeof found !== 'string') throw new Error(`there is no text ${key} in ${language}`)
  return found.split('{')[0]?.trim() ?? ''
}
