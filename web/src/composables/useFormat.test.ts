// What people read of numbers and times.
import { describe, expect, it } from 'vitest'
import { formatter, UNKNOWN } from './useFormat'

const en = formatter('en-US', 'UTC')
const zh = formatter('zh-CN', 'Asia/Shanghai')
const ja = formatter('ja-JP', 'Asia/Tokyo')

describe('useFormat', () => {
  it('writes what is not known as a dash, never as zero', () => {
    const { zone: _, ...writers } = en
    for (const [name, write] of Object.entries(writers)) {
      expect((write as (value: null) => string)(null), name).toBe(UNKNOWN)
    }
    expect(en.number(0)).toBe('0')
    expect(en.duration(0)).toBe('0 ms')
  })

  it('shortens large numbers as the language counts', () => {
    expect(en.compact(9_999)).toBe('9,999')
    expect(en.compact(1_234_567)).toBe('1.2M')
    expect(zh.compact(1_234_567)).toBe('123.5万')
  })

  it('never rounds a few failures to none, nor nearly all to all', () => {
    expect(en.percent(0)).toBe('0%')
    expect(en.percent(0.00001)).toBe('<0.1%')
    expect(en.percent(0.99999)).toBe('>99.9%')
    expect(en.percent(1)).toBe('100%')
    expect(en.percent(0.1234)).toBe('12.3%')
  })

  it('chooses the unit of a length of time', () => {
    expect(en.duration(0.42)).toBe('0.4 ms')
    expect(en.duration(812)).toBe('812 ms')
    expect(en.duration(3_210)).toBe('3.21 sec')
    expect(en.duration(240_000)).toBe('4 min')
    expect(en.duration(7_200_000)).toBe('2 hr')
  })

  it('writes times in the zone of the reader', () => {
    expect(en.time('2026-11-26T04:05:06Z')).toBe('04:05:06')
    expect(zh.time('2026-11-26T04:05:06Z')).toBe('12:05:06')
    expect(ja.time('2026-11-26T20:05:06Z')).toBe('05:05:06')
  })

  it('says how long ago something was', () => {
    const now = Date.parse('2026-11-26T12:00:00Z')
    expect(en.relative('2026-11-26T11:59:18Z', now)).toBe('42 sec. ago')
    expect(en.relative('2026-11-26T10:00:00Z', now)).toBe('2 hr. ago')
    expect(en.relative('2026-11-25T11:00:00Z', now)).toBe('yesterday')
  })

  it('writes sizes in the unit that fits', () => {
    expect(en.bytes(0)).toBe('0 byte')
    expect(en.bytes(1536)).toBe('1.5 kB')
    expect(en.bytes(5 * 1024 ** 3)).toBe('5 GB')
  })
})
