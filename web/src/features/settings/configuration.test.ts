// What a file with a configuration would do, and does.
import { beforeEach, expect, test, vi } from 'vitest'
import { addMembers, createGroup, setMemberWeight, updateGroup, type Group } from '@/api/groups'
import { saveSettings } from '@/api/settings'
import { planned, written, type Configuration, type Present } from './configuration'

vi.mock('@/api/groups', () => ({ addMembers: vi.fn(), createGroup: vi.fn(), setMemberWeight: vi.fn(), updateGroup: vi.fn(), fetchGroups: vi.fn(), fetchMembers: vi.fn() }))
vi.mock('@/api/settings', () => ({ saveSettings: vi.fn(), fetchSettings: vi.fn() }))

const NOW = new Date('2026-11-26T12:00:00Z')

function group(id: number, name: string, more: Partial<Group> = {}): Group {
  const plain = { display_name: '', description: '', group_type: 'standard', channel_type: 'openai', sort: 1, proxy_keys: 'sk-client', upstreams: [{ url: 'https://api.example.com', weight: 1 }], test_model: 'small', validation_endpoint: '', param_overrides: null, config: null, header_rules: null, model_redirect_rules: null, model_redirect_strict: false }
  return { id, name, endpoint: '', last_validated_at: null, created_at: '', updated_at: `version of ${name}`, ...plain, ...more } as Group
}

function present(): Present {
  return {
    settings: { max_retries: 3, proxy_keys: 'sk-global', enable_request_body_logging: false },
    settingsVersion: '"1"',
    groups: [group(1, 'one', { config: { max_retries: 0, blacklist_threshold: 5 } as never }), group(2, 'two'), group(3, 'all', { group_type: 'aggregate', upstreams: [], test_model: '-' })],
    members: new Map([[3, [{ id: 1, name: 'one', weight: 10 }]]]),
  }
}

const told = (file: Configuration, at = present()) => planned(file, at).filter(({ action }) => action !== 'leave').map(({ kind, name, action, fields }) => [kind, name, action, ...fields])

beforeEach(() => void vi.clearAllMocks())

test('a file brought back where it came from changes nothing', () => {
  expect(told(written(present(), true, NOW))).toEqual([])
  expect(told(written(present(), false, NOW))).toEqual([])
  // Stored objects may come in another order.
  const file = JSON.parse(JSON.stringify(written(present(), true, NOW))) as Configuration
  file.groups[0]!.config = { blacklist_threshold: 5, max_retries: 0 } as never
  expect(told(file)).toEqual([])
})

test('proxy keys are in a file only where that was wanted', () => {
  expect(JSON.stringify(written(present(), false, NOW))).not.toContain('sk-')
  expect(JSON.stringify(written(present(), true, NOW))).toContain('sk-global')
})

test('settings come first, then groups, then aggregates with their members, by ids that are made on the way', async () => {
  const file = written(present(), true, NOW)
  file.settings.max_retries = 0
  file.groups = [
    { name: 'both', group_type: 'aggregate', channel_type: 'openai', members: [{ name: 'new', weight: 5 }, { name: 'one', weight: 1 }] },
    { ...file.groups[0]!, name: 'new', header_rules: null },
  ]
  const steps = planned(file, present())
  expect(steps.filter(({ run }) => run).map(({ kind, name, action }) => [kind, name, action])).toEqual([
    ['setting', 'max_retries', 'change'],
    ['group', 'new', 'create'],
    ['group', 'both', 'create'],
    ['member', 'both / new', 'create'],
    ['member', 'both / one', 'create'],
  ])
  vi.mocked(createGroup).mockResolvedValueOnce(group(11, 'new')).mockResolvedValueOnce(group(12, 'both'))
  for (const step of steps) await step.run?.()
  expect(saveSettings).toHaveBeenCalledExactlyOnceWith({ max_retries: 0 }, '"1"')
  expect(vi.mocked(createGroup).mock.calls.map(([body]) => 'header_rules' in body)).toEqual([false, false])
  expect(vi.mocked(addMembers).mock.calls).toEqual([
    [12, [{ group_id: 11, weight: 5 }]],
    [12, [{ group_id: 1, weight: 1 }]],
  ])
})

test('of a group that is there only what differs is sent, and what is none in the file is cleared', async () => {
  const file = written(present(), true, NOW)
  file.groups[0]!.config = null
  file.groups[0]!.sort = 0
  file.groups[2]!.members = [{ name: 'one', weight: 20 }]
  const steps = planned(file, present()).filter(({ run }) => run)
  expect(steps.map(({ name, fields }) => [name, ...fields])).toEqual([
    ['one', 'sort', 'config'],
    ['all / one', '10 → 20'],
  ])
  for (const step of steps) await step.run?.()
  expect(updateGroup).toHaveBeenCalledExactlyOnceWith(1, { sort: 0, config: {}, expected_updated_at: 'version of one' })
  expect(setMemberWeight).toHaveBeenCalledExactlyOnceWith(3, 1, 20)
})

test('a file that contradicts itself or what is there is refused before anything is done', () => {
  const refusal = (change: (file: Configuration) => void) => {
    const file = written(present(), true, NOW)
    change(file)
    try {
      return planned(file, present()) && null
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(refusal((file) => (file.version = 2))).toBe('newer_version: 2')
  expect(refusal((file) => file.groups.push(file.groups[0]!))).toBe('group_twice: one')
  expect(refusal((file) => (file.groups[0]!.group_type = 'aggregate'))).toBe('other_kind: one')
  expect(refusal((file) => file.groups[2]!.members!.push({ name: 'nobody', weight: 1 }))).toBe('no_such_member: nobody')
})
