// What a setting may be.
import { describe, expect, test } from 'vitest'
import { defaultOf, faultOf, nameWithoutUnit, unitOf, unitWord, wrongStatusCodes, type Draft, type SettingShape } from './settingRules'

function check(shape: Partial<SettingShape>, draft: Draft, expected: string | null): void {
  const setting = { key: 'any', type: 'string', required: false, ...shape }
  expect(faultOf(setting, draft)?.name ?? null, `${setting.key} ${String(draft)}`).toBe(expected)
}

describe('a number', () => {
  const count = { type: 'int', required: true, min_value: 1, max_value: 100 }
  test('within its bounds is fine', () => [1, 50, 100].forEach((value) => check(count, value, null)))
  test('below or above them is not', () => {
    check(count, 0, 'minimum')
    check(count, 101, 'maximum')
  })
  test('that is missing or none at all is told apart', () => {
    check(count, null, 'required')
    check(count, undefined, 'number')
  })
  test('of zero is a number', () => check({ ...count, min_value: 0 }, 0, null))
})

describe('a text', () => {
  test('must be there where it is required', () => {
    check({ required: true }, '  ', 'required')
    check({ required: false }, '', null)
  })
  test('has an end', () => {
    check({}, 'x'.repeat(16_000), null)
    check({}, 'x'.repeat(16_001), 'too_long')
  })
  test('that is the address of the service is a web address', () => {
    for (const right of ['http://localhost:3001', ' https://gate.example/base ']) check({ key: 'app_url' }, right, null)
    for (const wrong of ['localhost:3001', 'gate.example', 'ftp://gate.example', 'http://']) check({ key: 'app_url' }, wrong, 'web_address')
  })
  test('that is an outbound proxy may be SOCKS5, and may be empty', () => {
    for (const right of ['', 'http://me:secret@proxy:8080', 'socks5://proxy:1080', 'socks5h://proxy']) check({ key: 'proxy_url' }, right, null)
    for (const wrong of ['proxy:8080', 'socks4://proxy']) check({ key: 'proxy_url' }, wrong, 'proxy_address')
  })
})

test('status codes are codes and ranges, with blanks where one likes', () => {
  for (const right of ['', '429', '400-403, 405 - 999', '500\n502,', '0429']) expect(wrongStatusCodes(right), right).toBeNull()
  for (const [text, item] of [['4xx', '4xx'], ['429,99', '99'], ['500-400', '500-400'], ['400-1000', '400-1000'], ['1-2-3', '1-2-3'], ['400-', '400-']] as const) {
    expect(wrongStatusCodes(text), text).toBe(item)
  }
})

test('a unit stands beside the number and not in the name', () => {
  expect(nameWithoutUnit('Request timeout (seconds)', 'request_timeout')).toBe('Request timeout')
  expect(nameWithoutUnit('请求超时（秒）', 'request_timeout')).toBe('请求超时')
  expect(nameWithoutUnit('Something (odd)', 'max_retries')).toBe('Something (odd)')
  expect([unitOf('request_timeout'), unitOf('key_validation_interval_minutes'), unitOf('max_retries')]).toEqual(['second', 'minute', null])
  expect([unitWord('en-US', 'second', 600), unitWord('en-US', 'day', 1), unitWord('zh-CN', 'minute', 5)]).toEqual(['seconds', 'day', '分钟'])
})

test('defaults have the type of their setting', () => {
  expect(['int', 'bool', 'string'].map((type) => defaultOf({ type, default_value: type === 'int' ? '7' : type === 'bool' ? 'false' : '400' }))).toEqual([7, false, '400'])
})
