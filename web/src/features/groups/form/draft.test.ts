// What of a group is saved.
import { describe, expect, it } from 'vitest'
import type { Group } from '@/api/groups'
import { changedFields, changeOf, creationOf, draftOf, newDraft, overridesText, withChannel } from './draft'

const group = {
  id: 1,
  name: 'team',
  display_name: 'Team',
  description: 'For the team',
  group_type: 'standard',
  channel_type: 'openai',
  endpoint: 'http://localhost/proxy/team',
  sort: 0,
  test_model: 'gpt-4.1-nano',
  validation_endpoint: '',
  proxy_keys: 'sk-a,sk-b',
  upstreams: [{ url: 'https://api.openai.com', weight: 1 }],
  config: { max_retries: 0, enable_request_body_logging: false, proxy_url: '' },
  header_rules: [{ key: 'X-Team', value: 'a', action: 'set' }],
  model_redirect_rules: { b: '2', a: '1' },
  model_redirect_strict: false,
  param_overrides: { temperature: 0 },
  last_validated_at: null,
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-02T00:00:00Z',
} as unknown as Group

const bare = { ...group, config: null, header_rules: null, model_redirect_rules: null, param_overrides: null } as unknown as Group

describe('saving a group', () => {
  it('changes nothing where nothing was touched, also where nothing is stored', () => {
    for (const stored of [group, bare]) {
      const before = draftOf(stored)
      expect(changedFields(before, structuredClone(before))).toEqual([])
      expect(changeOf(before, structuredClone(before), stored.updated_at)).toEqual({ expected_updated_at: stored.updated_at })
    }
  })

  it('sends what changed and nothing else', () => {
    const before = draftOf(group)
    const after = { ...structuredClone(before), display_name: ' Team 2 ', sort: 5 }
    expect(changeOf(before, after, 'then')).toEqual({ display_name: 'Team 2', sort: 5, expected_updated_at: 'then' })
  })

  it('takes 0, false and the empty text for values, and their absence for none', () => {
    const before = draftOf(group)
    expect(before.config).toEqual({ max_retries: 0, enable_request_body_logging: false, proxy_url: '' })
    const after = structuredClone(before)
    delete after.config.max_retries
    expect(changeOf(before, after, '')).toMatchObject({ config: { enable_request_body_logging: false, proxy_url: '' } })
    expect(changedFields(draftOf(bare), { ...draftOf(bare), config: { max_retries: 0 } })).toEqual(['config'])
  })

  it('can empty what was filled', () => {
    const before = draftOf(group)
    const after = { ...structuredClone(before), header_rules: [], redirects: [], param_overrides: ' ', config: {}, description: '', proxy_keys: '' }
    expect(changeOf(before, after, '')).toEqual({ description: '', proxy_keys: '', config: {}, header_rules: [], model_redirect_rules: {}, expected_updated_at: '' })
    expect(changedFields(before, after)).toContain('param_overrides')
    expect(overridesText(after)).toBe('{}')
  })

  it('sees no change in another order of members, in blank rows or in blanks', () => {
    const before = draftOf(group)
    const after = structuredClone(before)
    after.redirects.reverse()
    after.redirects.push({ source: '', target: '' })
    after.header_rules.push({ key: ' ', value: '', action: 'set' })
    after.param_overrides = '{"temperature":0}'
    after.name = ' team '
    expect(changedFields(before, after)).toEqual([])
  })

  it('sees the order of upstreams, and a text that is no JSON', () => {
    const before = draftOf({ ...group, upstreams: [{ url: 'https://a', weight: 1 }, { url: 'https://b', weight: 1 }] })
    expect(changedFields(before, { ...before, upstreams: [...before.upstreams].reverse() })).toEqual(['upstreams'])
    expect(changedFields(before, { ...before, param_overrides: '{' })).toEqual(['param_overrides'])
  })

  it('sends parameter overrides as they were typed', () => {
    expect(overridesText({ ...draftOf(group), param_overrides: ' {"seed": 12345678901234567890} ' })).toBe('{"seed": 12345678901234567890}')
  })

  it('keeps to what an aggregate group has', () => {
    const before = draftOf({ ...bare, group_type: 'aggregate', test_model: '-', upstreams: [] })
    expect(changedFields(before, { ...before, description: 'x', test_model: 'y' })).toEqual(['description'])
  })
})

describe('a new group', () => {
  it('follows its channel as long as nobody typed something else', () => {
    const draft = newDraft('standard', 'openai', 10)
    expect(withChannel(draft, 'anthropic')).toMatchObject({ channel_type: 'anthropic', upstreams: [{ url: 'https://api.anthropic.com', weight: 1 }] })
    const typed = { ...draft, test_model: 'mine', upstreams: [{ url: 'http://vllm:8000', weight: 2 }] }
    expect(withChannel(typed, 'gemini')).toEqual({ channel_type: 'gemini', test_model: 'mine', upstreams: typed.upstreams })
  })

  it('sends what was filled in, and of an aggregate group only what it has', () => {
    const draft = { ...newDraft('standard', 'openai', 0), name: 'team' }
    expect(creationOf(draft)).toEqual({ group_type: 'standard', name: 'team', channel_type: 'openai', sort: 0, test_model: draft.test_model, upstreams: draft.upstreams })
    expect(creationOf({ ...draft, group_type: 'aggregate' })).toEqual({ group_type: 'aggregate', name: 'team', channel_type: 'openai', sort: 0 })
  })
})
