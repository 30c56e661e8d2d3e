// The state of a key, and why and for how long it is so.
import { expect, test } from 'vitest'
import { createI18n, type ComposerTranslation } from 'vue-i18n'
import type { Key } from '@/api/keys'
import { formatter } from '@/composables/useFormat'
import keys from '@/locales/en-US/keys.json'
import { compileMessage } from '@/locales/messages'
import { failureText, reasonText, stateTime } from './keyStates'

const i18n = createI18n({ legacy: false, locale: 'en-US', messages: { 'en-US': { keys } }, messageCompiler: (message) => compileMessage(message as string) })
const { t } = i18n.global as unknown as { t: ComposerTranslation }
const format = formatter('en-US', 'UTC')
const now = Date.parse('2026-11-26T12:00:00Z')

function key(more: Partial<Key>): Key {
  return {
    id: 1,
    group_id: 1,
    key_value: 'sk-a****9f0e',
    key_hash: '',
    status: 'active',
    state: 'active',
    notes: '',
    request_count: 0,
    failure_count: 0,
    last_used_at: null,
    created_at: '2026-11-01T00:00:00Z',
    updated_at: '2026-11-01T00:00:00Z',
    resting_until: null,
    out_since: null,
    out_reason: null,
    last_failure: null,
    ...more,
  }
}

test('a resting key says how long it still rests, and does not count below a second', () => {
  expect(stateTime(key({ state: 'resting', resting_until: '2026-11-26T12:00:41.2Z' }), t, format, now)).toBe('for 42 sec')
  expect(stateTime(key({ state: 'resting', resting_until: '2026-11-26T11:59:00Z' }), t, format, now)).toBe('for 1 sec')
})

test('a key that is out says since when, where somebody knows', () => {
  expect(stateTime(key({ state: 'invalid', out_since: '2026-11-26T09:00:00Z' }), t, format, now)).toBe('3 hr. ago')
  expect(stateTime(key({ state: 'invalid' }), t, format, now)).toBe('')
  expect(stateTime(key({ out_since: '2026-11-26T09:00:00Z' }), t, format, now)).toBe('')
})

test('an invalid key says why, and that nobody knows where nobody does', () => {
  const out_reason = { status_code: 401, message: 'Incorrect API key', at: '' }
  expect(reasonText(key({ state: 'invalid', out_reason }), t)).toBe('401 · Incorrect API key')
  expect(reasonText(key({ state: 'invalid' }), t)).toBe('Nobody noted why')
})

test('a failure without an answer has no status', () => {
  expect(failureText({ status_code: null, message: 'connection refused', at: '' }, t)).toBe('connection refused')
})

test('an active key tells its last failure, a healthy one nothing', () => {
  expect(reasonText(key({ last_failure: { status_code: 429, message: 'slow down', at: '' } }), t)).toBe('429 · slow down')
  expect(reasonText(key({}), t)).toBe('')
})
