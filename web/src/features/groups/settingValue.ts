// Values of settings as a person reads them. 0, false and the empty text are values like any other.
import type { Formatter } from '@/composables/useFormat'
import { UNKNOWN } from '@/composables/useFormat'

type Translate = (key: string) => string

/** The unit of a setting's number, by its name: what follows the number in a field. */
export function settingUnit(key: string): 'seconds' | 'minutes' | null {
  if (key.endsWith('_minutes')) return 'minutes'
  if (key.endsWith('_seconds') || /_timeout$/.test(key)) return 'seconds'
  return null
}

export function settingText(key: string, value: unknown, t: Translate, format: Pick<Formatter, 'number'>): string {
  if (value === undefined || value === null) return UNKNOWN
  if (typeof value === 'boolean') return t(value ? 'groups.settings.on' : 'groups.settings.off')
  if (value === '') return t('groups.settings.empty')
  if (typeof value === 'number') {
    const unit = settingUnit(key)
    return unit ? `${format.number(value)} ${t(`groups.settings.units.${unit}`)}` : format.number(value)
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}
