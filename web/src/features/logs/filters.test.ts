// Filters of the request log in the address.
import { describe, expect, it } from 'vitest'
import { FILTER_FIELDS, meantBy, problemOf, readFilter, withoutFilters } from './filters'

describe('the address', () => {
  it('holds every filter under its name in the API', () => {
    const query = { group_id: '3', model: ' gpt-4o ', is_success: 'false', status_code: '429', verdict: 'key', source_ip: '10.0.0.1', range: '1h', entry: 'x' }
    expect(readFilter(query)).toEqual({
      filter: { group_id: '3', model: 'gpt-4o', is_success: 'false', status_code: '429', verdict: 'key', source_ip: '10.0.0.1' },
      problems: [],
    })
  })

  it('that names nothing filters nothing', () => {
    expect(readFilter({ model: '', error_contains: null, status_code: ['200', '201'] })).toEqual({ filter: {}, problems: [] })
  })

  it('loses its filters and nothing else', () => {
    expect(withoutFilters({ model: 'x', range: '7d', attempts: 'all' })).toEqual({ range: '7d', attempts: 'all' })
  })
})

describe('what cannot be asked', () => {
  it('is told, and not passed over', () => {
    const { filter, problems } = readFilter({ status_code: 'abc', is_success: 'maybe', verdict: 'success' })
    expect(filter).toEqual({ verdict: 'success' })
    expect(problems.map(({ name, problem }) => [name, problem])).toEqual([
      ['is_success', 'choice'],
      ['status_code', 'status'],
    ])
  })

  it('is a status that is no number of three digits', () => {
    for (const wrong of ['42', '4291', '4xx', '-200', '2e2', '']) expect(problemOf('status_code', wrong)).toBe('status')
    for (const right of ['200', '499', '999']) expect(problemOf('status_code', right)).toBeNull()
  })

  it('is a text that is longer than the server takes, counted in characters', () => {
    expect(problemOf('model', '𝒳'.repeat(500))).toBeNull()
    expect(problemOf('model', 'x'.repeat(501))).toBe('too_long')
  })
})

describe('a pasted text', () => {
  it('is the id of a request, or a part of an error', () => {
    expect(meantBy(' 0198c4f0-1234-7abc-8def-0123456789ab ')).toEqual({ name: 'request_id', value: '0198c4f0-1234-7abc-8def-0123456789ab' })
    expect(meantBy('0198C4F012347ABC8DEF0123456789AB')?.name).toBe('request_id')
    expect(meantBy('rate limit')).toEqual({ name: 'error_contains', value: 'rate limit' })
    expect(meantBy('  ')).toBeNull()
  })
})

it('no field is offered twice', () => {
  expect(new Set(FILTER_FIELDS.map(({ name }) => name)).size).toBe(FILTER_FIELDS.length)
})
