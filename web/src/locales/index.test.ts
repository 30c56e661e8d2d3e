// Which language a visitor gets.
import { describe, expect, it } from 'vitest'
import { preferredLanguage } from '.'

describe('preferredLanguage', () => {
  it('is the one that was chosen before', () => {
    expect(preferredLanguage('ja-JP', ['zh-CN'])).toBe('ja-JP')
  })

  it('is the first of the browser that we have', () => {
    expect(preferredLanguage(null, ['fr-FR', 'zh-TW', 'ja'])).toBe('zh-CN')
    expect(preferredLanguage(null, ['ja'])).toBe('ja-JP')
    expect(preferredLanguage('nonsense', ['en-GB'])).toBe('en-US')
  })

  it('is English where we have none of them', () => {
    expect(preferredLanguage(null, ['fr', 'de'])).toBe('en-US')
    expect(preferredLanguage(null, [])).toBe('en-US')
  })
})
