// What becomes of unsaved settings.
import { expect, test } from 'vitest'
import { rebase, withDraft } from './drafts'

const STORED = { retries: 3, url: 'http://a', log: false }

test('a value that is put back is no change any more', () => {
  const drafts = withDraft({}, STORED, 'retries', 5)
  expect(drafts).toEqual({ retries: 5 })
  expect(withDraft(drafts, STORED, 'retries', 3)).toEqual({})
})

test('zero, false and an empty text are values', () => {
  const drafts = withDraft(withDraft(withDraft({}, STORED, 'retries', 0), { ...STORED, log: true }, 'log', false), STORED, 'url', '')
  expect(drafts).toEqual({ retries: 0, log: false, url: '' })
})

test('what others changed is taken over, what both changed is contested, what both made equal is settled', () => {
  const drafts = { retries: 5, url: 'http://mine', log: true }
  expect(rebase(drafts, STORED, { retries: 5, url: 'http://theirs', log: false })).toEqual({ drafts: { url: 'http://mine', log: true }, taken: [], contested: ['url'] })
  expect(rebase({ log: true }, STORED, { ...STORED, retries: 0 })).toEqual({ drafts: { log: true }, taken: ['retries'], contested: [] })
})

test('a setting that is gone has no draft', () => {
  expect(rebase({ gone: 1 }, { gone: 0 }, {})).toEqual({ drafts: {}, taken: [], contested: [] })
})
