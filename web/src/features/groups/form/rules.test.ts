// Upstreams, header rules and model redirects while they are typed.
import { describe, expect, it } from 'vitest'
import { headerProblem, unknownPlaceholders } from './headers'
import { readRedirects, redirectHint, redirectMap, redirectProblem, tryModel } from './redirects'
import { isUpstreamWeight, upstreamShares, urlHint, urlProblem } from './upstreams'

describe('an upstream', () => {
  it('has an address that begins with http and names a host', () => {
    for (const url of ['https://api.openai.com', 'http://127.0.0.1:8080/base?x=1', 'https://user:pass@host/', 'http://[::1]:8080', ' https://a ']) expect(urlProblem(url), url).toBeNull()
    expect(urlProblem(' ')).toBe('required')
    expect(urlProblem('api.openai.com')).toBe('scheme')
    expect(urlProblem('ftp://a')).toBe('scheme')
    expect(urlProblem('https://')).toBe('host')
    expect(urlProblem('https://a b')).toBe('blanks')
    expect(urlProblem('https://a:99999')).toBe('port')
    expect(urlProblem('https://a:x')).toBe('port')
    expect(urlProblem('https://a^b')).toBe('invalid')
  })

  it('is told apart from what is perhaps not meant', () => {
    expect(urlHint('https://api.openai.com/v1', 'openai', [])).toBe('version')
    expect(urlHint('http://api.example.com', 'openai', [])).toBe('plain')
    expect(urlHint('http://10.0.0.4:8000', 'openai', [])).toBeNull()
    expect(urlHint('http://vllm:8000', 'openai', [])).toBeNull()
    expect(urlHint('https://a.example', 'openai', ['https://a.example'])).toBe('again')
    expect(urlHint('nonsense', 'openai', [])).toBeNull()
  })

  it('gets its share of the weights; 0 is off, and what is no whole number counts as that', () => {
    expect(upstreamShares([{ url: '', weight: 3 }, { url: '', weight: 1 }, { url: '', weight: 0 }])).toEqual([0.75, 0.25, 0])
    expect(upstreamShares([{ url: '', weight: 0 }, { url: '', weight: undefined }])).toEqual([null, null])
    expect(isUpstreamWeight(-1)).toBe(false)
    expect(isUpstreamWeight(0)).toBe(true)
    expect(isUpstreamWeight(null)).toBe(false)
  })
})

describe('a header rule', () => {
  const rule = (key: string, value = 'x', action = 'set') => ({ key, value, action })

  it('has a name that can be one, once', () => {
    expect(headerProblem(rule('X-Team'), [rule('X-Other')])).toBeNull()
    expect(headerProblem(rule('x-team '), [rule('X-TEAM')])).toBe('duplicate')
    expect(headerProblem(rule('X Team'), [])).toBe('name')
    expect(headerProblem(rule('', 'x'), [])).toBe('name_required')
    expect(headerProblem(rule('', ''), [])).toBeNull()
    expect(headerProblem(rule('Content-Length'), [])).toBe('connection')
    expect(headerProblem(rule('A', 'a\nb'), [])).toBe('value')
    expect(headerProblem(rule('A', 'a\nb', 'remove'), [])).toBeNull()
    expect(headerProblem(rule('A', '', 'append'), [])).toBe('action')
  })

  it('says which placeholders mean nothing', () => {
    expect(unknownPlaceholders('${API_KEY} ${GROUP} ${}')).toEqual(['GROUP', ''])
  })
})

describe('a model redirect', () => {
  const rules = [
    { source: 'gpt-4o', target: 'gpt-4.1' },
    { source: 'fast', target: 'gpt-4o' },
    { source: '', target: '' },
  ]

  it('is tried in one step', () => {
    expect(tryModel('gpt-4o', rules, false, 'openai')).toEqual({ kind: 'redirected', target: 'gpt-4.1' })
    expect(tryModel('fast', rules, false, 'openai')).toEqual({ kind: 'redirected', target: 'gpt-4o' })
    expect(tryModel('other', rules, false, 'openai')).toEqual({ kind: 'passed' })
    expect(tryModel('other', rules, true, 'openai')).toEqual({ kind: 'refused' })
    expect(tryModel('GPT-4o', rules, true, 'openai')).toEqual({ kind: 'refused' })
  })

  it('warns of what does nothing and of what is not followed', () => {
    expect(redirectHint(rules, 1, 'openai')).toBe('chain')
    expect(redirectHint(rules, 0, 'openai')).toBeNull()
    expect(redirectHint([{ source: 'a', target: 'a' }], 0, 'openai')).toBe('same')
    expect(redirectHint([{ source: ' a', target: 'b' }], 0, 'openai')).toBe('blanks')
  })

  it('knows both names of a model of Gemini, of which one shadows the other', () => {
    const both = [
      { source: 'x', target: 'b' },
      { source: 'models/x', target: 'a' },
    ]
    expect(tryModel('x', both, false, 'gemini')).toEqual({ kind: 'redirected', target: 'a' })
    expect(redirectHint(both, 0, 'gemini')).toBe('shadowed')
    expect(redirectHint(both, 1, 'gemini')).toBeNull()
    expect(redirectHint(both, 0, 'openai')).toBeNull()
  })

  it('must be whole, and its model there once', () => {
    expect(redirectProblem([{ source: ' ', target: 'b' }], 0)).toBe('source')
    expect(redirectProblem([{ source: 'a', target: '' }], 0)).toBe('target')
    expect(redirectProblem([{ source: 'a', target: 'b' }, { source: 'a', target: 'c' }], 1)).toBe('duplicate')
    expect(redirectProblem(rules, 2)).toBeNull()
  })

  it('is the same as JSON', () => {
    expect(readRedirects(JSON.stringify(redirectMap(rules)))).toEqual({ rows: rules.slice(0, 2) })
    expect(readRedirects('')).toEqual({ rows: [] })
    expect(readRedirects('[1]')).toEqual({ problem: 'not_object' })
    expect(readRedirects('{"a": 1}')).toEqual({ problem: { key: 'a' } })
    expect(readRedirects('{"a" 1}')).toMatchObject({ problem: { line: 1, column: 6 } })
  })
})
