// Where the log-in leads.
import { expect, test } from 'vitest'
import { ownPath } from './ownPath'

const ORIGIN = 'https://console.example'

test('a path of ours is kept with its query and its fragment', () => {
  expect(ownPath('/logs?model=gpt-4o&entry=12#top', ORIGIN)).toBe('/logs?model=gpt-4o&entry=12#top')
  expect(ownPath('/groups/3/keys', ORIGIN)).toBe('/groups/3/keys')
})

test('no address leads to another host', () => {
  const elsewhere = ['https://evil.example/', '//evil.example/', '/\\evil.example', '\\\\evil.example', '/\t/evil.example', '/\n/evil.example', ' //evil.example', 'javascript:alert(1)', '/..//evil.example', '/.//evil.example', 'evil.example']
  for (const wanted of elsewhere) {
    const path = ownPath(wanted, ORIGIN)
    expect(new URL(path, ORIGIN).origin, wanted).toBe(ORIGIN)
    expect(path, wanted).toBe('/')
  }
})

test('nor back to the log-in, and nothing at all leads home', () => {
  for (const wanted of ['/login', '/login?next=/logs', '', null, undefined, ['/logs', '/tasks'], 'logs']) expect(ownPath(wanted, ORIGIN)).toBe('/')
})
