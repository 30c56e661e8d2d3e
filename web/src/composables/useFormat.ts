// Numbers, times and sizes as the shown language writes them. What is not known is an en dash, never a zero.
import { computed } from 'vue'
import { currentLanguage, type Language } from '@/locales'

export const UNKNOWN = '–'

type Maybe<T> = T | null | undefined

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** For tests, and for texts outside of components; components call `useFormat`. */
export function formatter(language: Language, timeZone?: string) {
  const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 1 })
  const short = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 })
  const share = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 })
  const moment = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium', timeZone })
  const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone })
  const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', timeZone })
  const dayAndTime = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone })
  const minute = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone })
  const zone = new Intl.DateTimeFormat(language, { timeZoneName: 'short', timeZone })
  const ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  const unit = (unit: string, digits = 1) => new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: digits })

  const known = <T>(value: Maybe<T>, write: (value: T) => string) => (value === null || value === undefined ? UNKNOWN : write(value))
  const date = (value: string | number | Date) => new Date(value)

  return {
    number: (value: Maybe<number>) => known(value, (n) => plain.format(n)),
    /** 12.3K, 1.2M; 1.2万 where people count so. */
    compact: (value: Maybe<number>) => known(value, (n) => (Math.abs(n) < 10_000 ? plain.format(n) : short.format(n))),
    /** Of a share, 0 to 1. A share that is small, but not none, is never written as 0%. */
    percent: (value: Maybe<number>) =>
      known(value, (n) => (n > 0 && n < 0.001 ? `<${share.format(0.001)}` : n < 1 && n > 0.999 ? `>${share.format(0.999)}` : share.format(n))),
    dateTime: (value: Maybe<string | number | Date>) => known(value, (v) => moment.format(date(v))),
    time: (value: Maybe<string | number | Date>) => known(value, (v) => clock.format(date(v))),
    day: (value: Maybe<string | number | Date>) => known(value, (v) => day.format(date(v))),
    /** Hours and minutes. */
    minute: (value: Maybe<string | number | Date>) => known(value, (v) => minute.format(date(v))),
    /** Month, day, hours and minutes. */
    dayAndTime: (value: Maybe<string | number | Date>) => known(value, (v) => dayAndTime.format(date(v))),
    /** From one moment to another; what both have in common is said once. */
    between: (from: Maybe<string | number | Date>, to: Maybe<string | number | Date>) => known(from, (begin) => known(to, (end) => dayAndTime.formatRange(date(begin), date(end)))),
    /** The name of the zone that times are shown in. */
    zone: () => zone.formatToParts(new Date()).find((part) => part.type === 'timeZoneName')?.value ?? '',
    relative: (value: Maybe<string | number | Date>, now = Date.now()) =>
      known(value, (v) => {
        const ms = date(v).getTime() - now
        const size = Math.abs(ms)
        if (size < MINUTE_MS) return ago.format(Math.round(ms / SECOND_MS), 'second')
        if (size < HOUR_MS) return ago.format(Math.round(ms / MINUTE_MS), 'minute')
        if (size < DAY_MS) return ago.format(Math.round(ms / HOUR_MS), 'hour')
        return ago.format(Math.round(ms / DAY_MS), 'day')
      }),
    /** A length of time: 0.4 ms, 812 ms, 3.2 s, 4 min, 2 h, 3 days. */
    duration: (ms: Maybe<number>) =>
      known(ms, (n) => {
        if (n < SECOND_MS) return unit('millisecond', n < 10 ? 1 : 0).format(n)
        if (n < MINUTE_MS) return unit('second', n < 10 * SECOND_MS ? 2 : 1).format(n / SECOND_MS)
        if (n < HOUR_MS) return unit('minute').format(n / MINUTE_MS)
        if (n < DAY_MS) return unit('hour').format(n / HOUR_MS)
        return unit('day').format(n / DAY_MS)
      }),
    bytes: (value: Maybe<number>) =>
      known(value, (n) => {
        const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']
        const step = Math.min(Math.floor(Math.log(Math.max(n, 1)) / Math.log(1024)), units.length - 1)
        return unit(units[step] ?? 'byte').format(n / 1024 ** step)
      }),
  }
}

export type Formatter = ReturnType<typeof formatter>

const current = computed(() => formatter(currentLanguage()))

/** Follows the language: use it inside a template or a computed value, as `format.number(…)`. */
export function useFormat(): Formatter {
  return new Proxy({} as Formatter, { get: (_, name) => current.value[name as keyof Formatter] })
}
