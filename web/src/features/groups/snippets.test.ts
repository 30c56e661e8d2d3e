// Snippets: each is whole, goes to the right place, and survives odd keys and models.
import { describe, expect, it } from 'vitest'
import { CHANNELS } from './channels'
import { SNIPPET_KINDS, credentialHeaders, firstRequest, openAiBase, packageOf, snippet } from './snippets'

const target = { endpoint: 'https://gate.example/proxy/team/', key: 'sk-proxy-1', model: 'model-1' }

describe('a snippet', () => {
  it('holds address, key and model in every language of every channel', () => {
    for (const channel of CHANNELS) {
      for (const kind of SNIPPET_KINDS) {
        const code = snippet(kind, { ...target, channel })
        expect(code, `${channel} ${kind}`).toContain('https://gate.example/proxy/team')
        expect(code, `${channel} ${kind}`).not.toContain('team//')
        expect(code, `${channel} ${kind}`).toContain('sk-proxy-1')
        if (kind !== 'env') expect(code, `${channel} ${kind}`).toContain('model-1')
        expect(packageOf(channel, kind) === null, `${channel} ${kind}`).toBe(kind === 'curl' || kind === 'env')
      }
    }
  })

  it('gives each SDK the base that it expects', () => {
    expect(snippet('python', { ...target, channel: 'openai' })).toContain('base_url="https://gate.example/proxy/team/v1"')
    expect(snippet('python', { ...target, channel: 'anthropic' })).toContain('base_url="https://gate.example/proxy/team"')
    expect(snippet('node', { ...target, channel: 'gemini' })).toContain('baseUrl: "https://gate.example/proxy/team"')
    expect(snippet('env', { ...target, channel: 'openai-response' })).toBe('export OPENAI_BASE_URL="https://gate.example/proxy/team/v1"\nexport OPENAI_API_KEY="sk-proxy-1"')
  })

  it('follows a path for tests that begins elsewhere', () => {
    expect(openAiBase({ endpoint: 'https://g', testPath: '/api/paas/v4/chat/completions' })).toBe('https://g/api/paas/v4')
    expect(openAiBase({ endpoint: 'https://g', testPath: '/chat/completions' })).toBe('https://g')
    expect(openAiBase({ endpoint: 'https://g', testPath: '/v1/models?free=1' })).toBe('https://g/v1')
    expect(openAiBase({ endpoint: 'https://g', testPath: '/health' })).toBe('https://g/v1')
    expect(openAiBase({ endpoint: 'https://g', testPath: '' })).toBe('https://g/v1')
  })

  it('quotes what a shell or a language would take for its own', () => {
    const odd = { ...target, channel: 'openai', key: `a'b"c$d`, model: `it's "new"` }
    expect(snippet('curl', odd)).toContain(`-H 'Authorization: Bearer a'\\''b"c$d'`)
    expect(snippet('python', odd)).toContain(String.raw`api_key="a'b\"c$d"`)
    expect(snippet('env', odd)).toContain(String.raw`export OPENAI_API_KEY="a'b\"c\$d"`)
  })

  it('is one curl command whose body is JSON', () => {
    const code = snippet('curl', { ...target, channel: 'anthropic' })
    expect(code.split('\n').slice(0, -1).every((line) => line.endsWith(' \\'))).toBe(true)
    const body: unknown = JSON.parse(/-d '(.*)'$/s.exec(code)?.[1] ?? '')
    expect(body).toEqual({ model: 'model-1', max_tokens: 1024, messages: [{ role: 'user', content: 'Hello!' }] })
    expect(code).toContain("'x-api-key: sk-proxy-1'")
  })

  it('takes an unknown channel for the most common format', () => {
    expect(snippet('curl', { ...target, channel: 'future' })).toContain('/v1/chat/completions')
  })
})

describe('the first request', () => {
  it('names the model in the path where the format does so', () => {
    expect(firstRequest({ ...target, channel: 'gemini', model: 'models/gemini-2.5-pro' }).path).toBe('/v1beta/models/gemini-2.5-pro:generateContent')
    expect(firstRequest({ ...target, channel: 'openai-response' })).toEqual({ path: '/v1/responses', body: { model: 'model-1', input: 'Hello!' } })
  })

  it('shows its key as the format wants it', () => {
    expect(credentialHeaders('openai', 'k')).toEqual({ Authorization: 'Bearer k' })
    expect(credentialHeaders('gemini', 'k')).toEqual({ 'x-goog-api-key': 'k' })
  })
})
