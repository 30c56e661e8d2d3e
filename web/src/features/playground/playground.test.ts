// What the playground sends, and how it reads what comes back.
import { describe, expect, test } from 'vitest'
import { answerText, prettyJson } from './answerText'
import { jsonFault } from './jsonFault'
import { curlOf, draftOf, modelNames, parseHeaders, pathOfEntry, presetsOf, withChanged } from './presets'
import { eventReader } from './sse'

describe('events of a stream', () => {
  const stream = 'event: a\r\ndata: {"x":1}\r\n\r\n: a remark\ndata: one\ndata: two\n\ndata:[DONE]\n\n'
  const events = [
    { name: 'a', data: '{"x":1}' },
    { name: '', data: 'one\ntwo' },
    { name: '', data: '[DONE]' },
  ]

  test('are the same wherever the pieces are cut', () => {
    for (let size = 1; size <= stream.length; size++) {
      const read = eventReader()
      const found = []
      for (let at = 0; at < stream.length; at += size) found.push(...read(stream.slice(at, at + size)))
      expect(found, `pieces of ${size}`).toEqual(events)
    }
  })

  test('that are not over are not told', () => expect(eventReader()('data: half')).toEqual([]))
})

describe('what the model said', () => {
  const said: [string, unknown][] = [
    ['chat', { choices: [{ message: { role: 'assistant', content: 'hi' } }] }],
    ['chat, streamed', { choices: [{ delta: { content: 'hi' } }] }],
    ['responses', { output: [{ type: 'reasoning' }, { content: [{ type: 'output_text', text: 'hi' }] }] }],
    ['responses, streamed', { type: 'response.output_text.delta', delta: 'hi' }],
    ['messages', { content: [{ type: 'text', text: 'hi' }] }],
    ['messages, streamed', { type: 'content_block_delta', delta: { type: 'text_delta', text: 'hi' } }],
    ['gemini', { candidates: [{ content: { parts: [{ text: 'h' }, { text: 'i' }] } }] }],
  ]
  test.each(said)('is found in %s', (_, json) => expect(answerText(json)).toBe('hi'))
  test('is nothing in errors, lists and nonsense', () => {
    for (const json of [{ error: { message: 'no' } }, { data: [{ id: 'm' }] }, null, 'text', [], { choices: [] }, { content: 3 }, { type: 'message_start' }]) expect(answerText(json)).toBe('')
  })
  test('JSON is indented, other text stays', () => {
    expect(prettyJson('{"a":1}')).toBe('{\n  "a": 1\n}')
    expect(prettyJson('plain')).toBe('plain')
  })
})

describe('a draft', () => {
  const wanted = { channel: 'openai', preset: 'chat', model: 'm', isStreamed: true, prompt: 'Hi' } as const

  test('asks for a stream where one is wanted', () => {
    expect(JSON.parse(draftOf(wanted).body)).toEqual({ model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] })
    expect(JSON.parse(draftOf({ ...wanted, isStreamed: false }).body)).not.toHaveProperty('stream')
  })

  test('of Gemini has model and stream in its path', () => {
    const gemini = { ...wanted, channel: 'gemini', preset: 'generate', model: 'models/g-1' } as const
    expect(draftOf(gemini).path).toBe('/v1beta/models/g-1:streamGenerateContent?alt=sse')
    expect(draftOf({ ...gemini, isStreamed: false }).path).toBe('/v1beta/models/g-1:generateContent')
  })

  test('that was edited keeps everything but what was chosen anew', () => {
    const edited = { ...draftOf(wanted), body: '{"temperature":0,"model":"m","stream":true,"messages":[]}' }
    expect(JSON.parse(withChanged(edited, { model: 'n' }).body)).toEqual({ model: 'n', stream: true, temperature: 0, messages: [] })
    expect(JSON.parse(withChanged(edited, { isStreamed: false }).body)).toEqual({ model: 'm', temperature: 0, messages: [] })
    for (const body of ['{"no":"model"}', 'not json', '[1]']) expect(withChanged({ ...edited, body }, { model: 'n' }).body).toBe(body)
  })

  test('every format has something to begin with, an unknown one a free request', () => {
    expect(presetsOf('anthropic')).toContain('messages')
    expect(presetsOf('new-one')).toEqual(['free'])
  })

  test('as curl is quoted for a shell', () => {
    const draft = { method: 'POST', path: '/v1/x', headers: 'Content-Type: application/json', body: `{"a":"it's"}` }
    expect(curlOf(draft, 'http://h/proxy/g', { Authorization: 'Bearer k' })).toBe(
      ["curl 'http://h/proxy/g/v1/x'", "-H 'Authorization: Bearer k'", "-H 'Content-Type: application/json'", `--data-binary '{"a":"it'\\''s"}'`].join(' \\\n  '),
    )
    expect(curlOf({ ...draft, method: 'GET' }, 'http://h', {})).not.toContain('--data')
    expect(curlOf({ ...draft, method: 'DELETE', body: '' }, 'http://h', {})).toContain('-X DELETE')
  })
})

test('headers are lines, and a line that is none is a fault', () => {
  expect(parseHeaders(' X-A: 1\n\nx-b:2:3 ')).toEqual([['X-A', '1'], ['x-b', '2:3']])
  expect(parseHeaders('nonsense')).toBeNull()
  expect(parseHeaders('bad name: 1')).toBeNull()
})

test('a fault in JSON is told by its place', () => {
  for (const right of ['', ' {"a": [1, -0.5e3, true, null, "x\\n\\u00e9"], "b": {}} ', '[]', '"text"', '12']) expect(jsonFault(right), right).toBeNull()
  expect(jsonFault('{\n  "a": x\n}')).toEqual({ line: 2, column: 8 })
  expect(jsonFault('{"a": 1')).toEqual({ line: 1, column: 8 })
  expect(jsonFault('{"a": 1,}')).toEqual({ line: 1, column: 9 })
  expect(jsonFault("{'a': 1}")).toEqual({ line: 1, column: 2 })
  expect(jsonFault('[1] 2')).toEqual({ line: 1, column: 5 })
  expect(jsonFault('"a\nb"')).toEqual({ line: 1, column: 1 })
})

test('what the browser takes for JSON has no fault, and the other way round', () => {
  const texts = ['{}', '{"a":}', '[1,]', '01', '1.', '-', '"\\x"', 'nul', '{"a":1 "b":2}', '[[[]]]', '1e5', '{"a":{"b":[{}]}}', '\t1', '\u00a01']
  for (const text of texts) {
    let isJson = true
    try {
      JSON.parse(text)
    } catch {
      isJson = false
    }
    expect(jsonFault(text) === null, text).toBe(isJson)
  }
})

test('names of models are found in each format', () => {
  expect(modelNames({ data: [{ id: 'b' }, { id: 'a' }, { id: 'b' }] })).toEqual(['a', 'b'])
  expect(modelNames({ models: [{ name: 'models/gemini-x' }] })).toEqual(['gemini-x'])
  expect(modelNames({ error: 'no' })).toEqual([])
  expect(modelNames(null)).toEqual([])
})

test('the path of an entry is the one behind its group, without a credential', () => {
  expect(pathOfEntry('/proxy/team/v1/chat/completions')).toBe('/v1/chat/completions')
  expect(pathOfEntry('/proxy/team/v1beta/models/x:streamGenerateContent?alt=sse&key=***')).toBe('/v1beta/models/x:streamGenerateContent?alt=sse')
  expect(pathOfEntry('/proxy/team')).toBe('/')
})
