// The first steps: what survives a reload, and what the first answer says.
import { describe, expect, it } from 'vitest'
import { answerText, errorText, sendFirstRequest } from './firstAnswer'
import { forgetProgress, readProgress, writeProgress } from './progress'

function store() {
  const kept = new Map<string, string>()
  return { kept, getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => void kept.set(name, value), removeItem: (name: string) => void kept.delete(name) }
}

describe('progress', () => {
  it('is the same after a reload, and gone when it is forgotten', () => {
    const kept = store()
    writeProgress(kept, { step: 'client', groupId: 7, clientKey: 'sk-a****9f0e' })
    expect(readProgress(kept)).toEqual({ step: 'client', groupId: 7, clientKey: 'sk-a****9f0e' })
    forgetProgress(kept)
    expect(readProgress(kept)).toEqual({ step: 'provider', groupId: null, clientKey: null })
  })

  it('keeps nothing but what it names, so never a key', () => {
    const kept = store()
    writeProgress(kept, { step: 'keys', groupId: 7, clientKey: null, keys: 'sk-secret' } as never)
    expect([...kept.kept.values()].join()).not.toContain('sk-secret')
  })

  it('begins anew without a group, and where it cannot be read', () => {
    const kept = store()
    kept.setItem('gpt-load.welcome', '{"step":"request"}')
    expect(readProgress(kept).step).toBe('provider')
    kept.setItem('gpt-load.welcome', '{')
    expect(readProgress(kept).step).toBe('provider')
  })
})

describe('the first answer', () => {
  it('is read in each format', () => {
    expect(answerText('{"choices":[{"message":{"content":"Hi"}}]}')).toBe('Hi')
    expect(answerText('{"output":[{"type":"reasoning"},{"content":[{"type":"output_text","text":"Hi"}]}]}')).toBe('Hi')
    expect(answerText('{"content":[{"type":"text","text":"Hi"}]}')).toBe('Hi')
    expect(answerText('{"candidates":[{"content":{"parts":[{"text":"H"},{"text":"i"}]}}]}')).toBe('Hi')
    expect(answerText('<html>')).toBe('')
  })

  it('says what was wrong', () => {
    expect(errorText('{"error":{"message":"no key"}}')).toBe('no key')
    expect(errorText('{"code":"X","message":"no"}')).toBe('no')
    expect(errorText('bad gateway')).toBe('bad gateway')
  })

  it('is asked for as a client does it, and can be found in the log', async () => {
    const sent: { url: string; init: RequestInit }[] = []
    const send = (async (url: string, init: RequestInit) => {
      sent.push({ url, init })
      return new Response('{"content":[{"text":"Hi"}]}', { headers: { 'X-Gpt-Load-Request-Id': 'r-1' } })
    }) as unknown as typeof fetch
    let time = 0
    const answer = await sendFirstRequest({ name: 'team', channel: 'anthropic', model: 'm', testPath: '', key: 'sk-p' }, send, () => (time += 40))
    expect(answer).toEqual({ status: 200, isSuccess: true, durationMs: 40, requestId: 'r-1', text: 'Hi' })
    expect(sent[0]?.url).toBe('/proxy/team/v1/messages')
    expect(sent[0]?.init).toMatchObject({ method: 'POST', credentials: 'omit', headers: { 'x-api-key': 'sk-p' } })
  })
})
