// A setting's value, name and fault in words.
import { useI18n } from 'vue-i18n'
import type { Setting } from '@/api/settings'
import { useFormat } from '@/composables/useFormat'
import { lengthMs, nameWithoutUnit, unitOf, unitWord, type Draft, type Fault } from './settingRules'

export function useSettingText() {
  const { t, locale } = useI18n()
  const format = useFormat()

  function unit(key: string, value: Draft): string | undefined {
    const unit = unitOf(key)
    return unit ? unitWord(locale.value, unit, typeof value === 'number' ? value : 0) : undefined
  }

  function value(setting: Pick<Setting, 'key' | 'type'>, shown: Draft): string {
    if (shown === null || shown === undefined) return format.number(null)
    if (typeof shown === 'boolean') return shown ? t('settings.on') : t('settings.off')
    if (typeof shown === 'number') return [format.number(shown), unit(setting.key, shown)].filter(Boolean).join(' ')
    return shown === '' ? t('settings.nothing') : shown
  }

  /** The same length of time in a larger unit, where that reads better: 600 seconds are 10 minutes. */
  function length(key: string, shown: Draft): string | null {
    const unit = unitOf(key)
    if (!unit || unit === 'day' || typeof shown !== 'number' || shown < 60) return null
    return format.duration(lengthMs(unit, shown))
  }

  function fault({ name, values }: Fault): string {
    const written = Object.entries(values ?? {}).map(([name, value]) => [name, typeof value === 'number' ? format.number(value) : value])
    return t(`settings.faults.${name}`, Object.fromEntries(written))
  }

  return { unit, value, length, fault, name: (setting: Pick<Setting, 'key' | 'name'>) => nameWithoutUnit(setting.name, setting.key) }
}
