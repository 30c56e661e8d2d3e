// What is shown before a group is saved, and what becomes of changes when others were faster.
import { describe, expect, it } from 'vitest'
import { diffRows, rebased, type Words } from './diff'
import { newDraft, type GroupDraft } from './draft'

const words: Words = {
  channel: (channel) => channel.toUpperCase(),
  setting: (_, value) => (value === undefined ? 'inherited' : String(value)),
  onOff: (on) => (on ? 'on' : 'off'),
  upstream: (url, weight) => `${url} ×${weight}`,
  removal: (header) => `-${header}`,
}
const before: GroupDraft = { ...newDraft('standard', 'openai', 1), name: 'team', upstreams: [{ url: 'https://a', weight: 1 }, { url: 'https://b', weight: 2 }] }
const diff = (change: Partial<GroupDraft>) => diffRows(before, { ...structuredClone(before), ...change }, words)

describe('the diff', () => {
  it('shows old beside new, only of what changes', () => {
    expect(diff({})).toEqual([])
    expect(diff({ name: 'crew', channel_type: 'gemini' })).toEqual([
      { field: 'name', removed: ['team'], added: ['crew'] },
      { field: 'channel_type', removed: ['OPENAI'], added: ['GEMINI'] },
    ])
    expect(diff({ display_name: 'Crew' })).toEqual([{ field: 'display_name', removed: [], added: ['Crew'] }])
  })

  it('shows of a list the lines that go and come, and all where only their order changes', () => {
    expect(diff({ upstreams: [{ url: 'https://a', weight: 0 }, { url: 'https://b', weight: 2 }] })).toEqual([{ field: 'upstreams', removed: ['https://a ×1'], added: ['https://a ×0'] }])
    expect(diff({ upstreams: [...before.upstreams].reverse() })).toEqual([{ field: 'upstreams', removed: ['https://a ×1', 'https://b ×2'], added: ['https://b ×2', 'https://a ×1'] }])
  })

  it('tells a value of 0 from none', () => {
    expect(diff({ config: { max_retries: 0 } })).toEqual([{ field: 'config', setting: 'max_retries', removed: ['inherited'], added: ['0'] }])
  })

  it('never shows a proxy key whole', () => {
    expect(diff({ proxy_keys: 'sk-0123456789abcdefgh' })).toEqual([{ field: 'proxy_keys', removed: [], added: ['sk-0****efgh'] }])
  })
})

describe('changes on a group that others changed', () => {
  it('go over theirs, and theirs stay where nobody else was', () => {
    const mine = { ...before, description: 'mine', sort: 7 }
    const theirs = { ...before, description: 'theirs', display_name: 'Theirs' }
    const { draft, contested } = rebased(before, mine, theirs)
    expect(draft).toEqual({ ...before, description: 'mine', sort: 7, display_name: 'Theirs' })
    expect(contested).toEqual(['description'])
  })

  it('agree where both did the same', () => {
    expect(rebased(before, { ...before, sort: 7 }, { ...before, sort: 7 }).contested).toEqual([])
  })
})
