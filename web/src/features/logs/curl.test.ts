// Commands that send a logged request again.
import { describe, expect, it } from 'vitest'
import { curlOf } from './curl'
import { testEntry } from './testing'

const ORIGIN = 'https://gate.example.com'

describe('a command', () => {
  it('has the body that was recorded, whatever quotes are in it', () => {
    const command = curlOf(testEntry({ request_body: `{"q":"it's $HOME"}` }), ORIGIN)
    expect(command).toContain(`--data-binary '{"q":"it'\\''s $HOME"}'`)
    expect(command).toContain(`curl 'https://gate.example.com/proxy/main/v1/chat/completions'`)
  })

  it('never has a key', () => {
    const command = curlOf(testEntry({ key_value: 'sk-secret', request_path: '/proxy/main/v1beta/models/x:generateContent?key=***&alt=sse' }), ORIGIN)
    expect(command).not.toContain('sk-secret')
    expect(command).toContain('"Authorization: Bearer $GPT_LOAD_PROXY_KEY"')
    expect(command).toContain('?key=&alt=sse')
  })

  it('asks for a file where no body was recorded', () => {
    expect(curlOf(testEntry(), ORIGIN)).toContain('--data-binary @request.json')
  })

  it('reads lists of models, and streams without waiting', () => {
    expect(curlOf(testEntry({ request_path: '/proxy/main/v1/models' }), ORIGIN)).not.toContain('--data-binary')
    expect(curlOf(testEntry({ request_path: '/proxy/main/v1beta/models/x:generateContent' }), ORIGIN)).toContain('--data-binary')
    expect(curlOf(testEntry({ is_stream: true }), ORIGIN)).toContain('--no-buffer')
    expect(curlOf(testEntry({ request_path: '/proxy/c/v1/messages' }), ORIGIN)).toContain('anthropic-version')
  })
})
