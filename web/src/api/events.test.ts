// Server-sent events.
import { describe, expect, it } from 'vitest'
import { EventParser } from './events'

describe('a stream', () => {
  it('is read however it is cut', () => {
    const text = ': hello\r\nretry: 2000\nevent: entry\nid: 7\ndata: {"a":\ndata: 1}\n\ndata:x\r\r\n'
    for (let size = 1; size <= text.length; size++) {
      const parser = new EventParser()
      const events = []
      for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)))
      expect(events, `pieces of ${size}`).toEqual([
        { name: 'entry', data: '{"a":\n1}', id: '7' },
        { name: 'message', data: 'x', id: null },
      ])
    }
  })

  it('has no event without data, and none that is not finished', () => {
    const parser = new EventParser()
    expect(parser.push('event: open\n\n: keep-alive\n\ndata: half')).toEqual([])
    expect(parser.push('\n\n')).toEqual([{ name: 'message', data: 'half', id: null }])
  })
})
