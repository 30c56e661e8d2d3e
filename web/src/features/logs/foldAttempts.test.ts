// Attempts under their requests.
import { describe, expect, it } from 'vitest'
import { flatRows, foldAttempts } from './foldAttempts'
import { testEntry } from './testing'

const last = testEntry({ id: 'last', attempt: 3 })
const second = testEntry({ id: 'second', attempt: 2, request_type: 'retry' })
const first = testEntry({ id: 'first', attempt: 1, request_type: 'retry' })
const other = testEntry({ id: 'other', request_id: 'r2' })

function shown(rows: ReturnType<typeof foldAttempts>): string[] {
  return rows.map(({ entry, isAttempt, hidden }) => `${isAttempt ? '  ' : ''}${entry.id}${hidden ? ` (${hidden})` : ''}`)
}

describe('attempts', () => {
  it('lie under the last one, whatever came between them', () => {
    expect(shown(foldAttempts([last, other, second, first], new Map()))).toEqual(['last (2)', 'other'])
  })

  it('are seen where somebody unfolds them, the newest first', () => {
    expect(shown(foldAttempts([last, other], new Map([['r1', [first, second, last]]])))).toEqual(['last (2)', '  second', '  first', 'other'])
  })

  it('of a request under way are one row, until its last one comes', () => {
    expect(shown(foldAttempts([second, other, first], new Map()))).toEqual(['second (1)', 'other'])
    expect(shown(foldAttempts([last, second, other, first], new Map()))).toEqual(['last (2)', 'other'])
  })

  it('of requests without an id stay for themselves, as the original wrote them', () => {
    const a = testEntry({ id: 'a', request_id: null, attempt: null, request_type: 'retry' })
    const b = testEntry({ id: 'b', request_id: null, attempt: null })
    expect(shown(foldAttempts([b, a], new Map()))).toEqual(['b', 'a'])
  })

  it('are rows like all others where nothing is folded', () => {
    expect(shown(flatRows([last, second, first]))).toEqual(['last', 'second', 'first'])
  })
})
