// Bodies of requests as conversations.
import { describe, expect, it } from 'vitest'
import { readBody } from './chat'

function chat(body: unknown) {
  return readBody(JSON.stringify(body)).messages?.map(({ role, text, parts }) => [role, text, ...parts])
}

describe('a conversation', () => {
  it('of chat completions', () => {
    expect(
      chat({
        messages: [
          { role: 'system', content: 'Be brief' },
          { role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: 'data:…' } }] },
          { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'look', arguments: '{}' } }] },
        ],
      }),
    ).toEqual([['system', 'Be brief'], ['user', 'What is it?', 'image_url'], ['assistant', '', 'tool_call: look']])
  })

  it('of messages, with its system apart', () => {
    expect(chat({ system: [{ type: 'text', text: 'Kind' }], messages: [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: [{ type: 'tool_use', name: 'find' }] }] })).toEqual([
      ['system', 'Kind'],
      ['user', 'Hi'],
      ['assistant', '', 'tool_use: find'],
    ])
  })

  it('of contents', () => {
    expect(chat({ systemInstruction: { parts: [{ text: 'Short' }] }, contents: [{ role: 'user', parts: [{ text: 'A' }, { text: 'B' }, { inlineData: {} }] }] })).toEqual([
      ['system', 'Short'],
      ['user', 'A\nB', 'inlineData'],
    ])
  })

  it('of responses, also as one text', () => {
    expect(chat({ instructions: 'Go', input: 'Hello' })).toEqual([
      ['system', 'Go'],
      ['user', 'Hello'],
    ])
    expect(chat({ input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hey' }] }, { type: 'function_call_output', output: '42' }] })).toEqual([
      ['user', 'Hey'],
      ['function_call_output', '42'],
    ])
  })
})

describe('what is none', () => {
  it('is still JSON', () => {
    expect(readBody('{"model":"m"}')).toEqual({ json: { model: 'm' }, messages: null })
    expect(readBody('[1]')).toEqual({ json: [1], messages: null })
    expect(readBody('{"messages":[]}').messages).toBeNull()
  })

  it('or was cut', () => {
    expect(readBody('{"messages":[{"role":"us')).toEqual({ json: null, messages: null })
  })
})
