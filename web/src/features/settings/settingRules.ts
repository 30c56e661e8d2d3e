// What a setting may be, as the server sees it: said beside the field instead of after saving. Groups override by the same rules.
import type { Setting, SettingValue } from '@/api/settings'

/** What somebody typed: `null` is an empty number, `undefined` is no number. */
export type Draft = SettingValue | null | undefined

export interface Fault {
  /** It has a text of this name in the settings' texts. */
  name: 'required' | 'number' | 'minimum' | 'maximum' | 'too_long' | 'web_address' | 'proxy_address' | 'status_codes'
  values?: Record<string, string | number>
}

export type SettingShape = Pick<Setting, 'key' | 'type' | 'required' | 'min_value' | 'max_value'>

const TEXT_CHARACTERS_MAX = 16_000
const FIRST_STATUS = 100
const LAST_STATUS = 999

export function faultOf(setting: SettingShape, draft: Draft): Fault | null {
  if (setting.type === 'bool') return null
  if (setting.type === 'int') return faultOfNumber(setting, draft)
  return faultOfText(setting, typeof draft === 'string' ? draft : '')
}

function faultOfNumber({ min_value: minimum, max_value: maximum }: SettingShape, draft: Draft): Fault | null {
  if (draft === null) return { name: 'required' }
  if (typeof draft !== 'number') return { name: 'number' }
  if (minimum !== undefined && draft < minimum) return { name: 'minimum', values: { minimum } }
  if (maximum !== undefined && draft > maximum) return { name: 'maximum', values: { maximum } }
  return null
}

function faultOfText({ key, required }: SettingShape, text: string): Fault | null {
  if ([...text].length > TEXT_CHARACTERS_MAX) return { name: 'too_long', values: { maximum: TEXT_CHARACTERS_MAX } }
  if (text.trim() === '') return required ? { name: 'required' } : null
  if (key === 'app_url' && !hasScheme(text, ['http:', 'https:'])) return { name: 'web_address' }
  if (key === 'proxy_url' && !hasScheme(text, ['http:', 'https:', 'socks5:', 'socks5h:'])) return { name: 'proxy_address' }
  if (key === 'failover_status_codes') {
    const item = wrongStatusCodes(text)
    if (item !== null) return { name: 'status_codes', values: { item } }
  }
  return null
}

function hasScheme(text: string, schemes: readonly string[]): boolean {
  try {
    const url = new URL(text.trim())
    return schemes.includes(url.protocol) && url.hostname !== ''
  } catch {
    return false
  }
}

/** The first item of a list such as `400-403,405-999` that is neither a status code nor a range of them. */
export function wrongStatusCodes(text: string): string | null {
  const items = text
    .split(/[,\n]/)
    .map((item) => item.trim())
    .filter(Boolean)
  return items.find((item) => !isStatusRange(item)) ?? null
}

function isStatusRange(item: string): boolean {
  const sides = item.split('-').map((side) => side.trim())
  if (sides.length > 2 || sides.some((side) => !/^\+?\d+$/.test(side))) return false
  const [from = 0, to = from] = sides.map(Number)
  return from >= FIRST_STATUS && to <= LAST_STATUS && from <= to
}

const SECONDS = ['request_timeout', 'connect_timeout', 'idle_conn_timeout', 'response_header_timeout', 'stream_idle_timeout', 'key_validation_timeout_seconds']
const MINUTES = ['request_log_write_interval_minutes', 'key_validation_interval_minutes']
const DAYS = ['request_log_retention_days']

export type Unit = 'second' | 'minute' | 'day'

export function unitOf(key: string): Unit | null {
  if (SECONDS.includes(key)) return 'second'
  if (MINUTES.includes(key)) return 'minute'
  return DAYS.includes(key) ? 'day' : null
}

const UNIT_MS: Record<Unit, number> = { second: 1_000, minute: 60_000, day: 86_400_000 }

/** The same length of time in milliseconds. */
export function lengthMs(unit: Unit, value: number): number {
  return value * UNIT_MS[unit]
}

/** The word for a unit in a language, as it stands behind this number: "seconds", "秒". */
export function unitWord(language: string, unit: Unit, value: number): string {
  const parts = new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).formatToParts(value)
  return parts.find((part) => part.type === 'unit')?.value ?? unit
}

/** The name without the unit in brackets, which stands beside the number. */
export function nameWithoutUnit(name: string, key: string): string {
  return unitOf(key) === null ? name : name.replace(/\s*[（(][^（）()]*[)）]$/, '')
}

/** The default, which the server tells as a text whatever the type is. */
export function defaultOf(setting: Pick<Setting, 'type' | 'default_value'>): SettingValue {
  if (setting.type === 'int') return Number(setting.default_value)
  return setting.type === 'bool' ? setting.default_value === 'true' : setting.default_value
}
