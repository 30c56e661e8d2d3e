// What leaves the house with a question.
import { expect, test } from 'vitest'
import type { Cluster, SystemFacts } from '@/api/system'
import { diagnosticsText, redacted } from './diagnostics'

test('credentials that an error text quotes are struck out', () => {
  expect(redacted('redis://me:hunter2@cache:6379/0 refused')).toBe('redis://***@cache:6379/0 refused')
  expect(redacted('redis://:p@cache')).toBe('redis://***@cache')
  expect(redacted('host=db password=hunter2 dbname=x')).toBe('host=db password=*** dbname=x')
  expect(redacted('{"auth_key": "sk-admin-0123456789"}')).toBe('{"auth_key": "***"}')
  expect(redacted('key sk-proj-abcdef0123 refused')).toBe('key sk-*** refused')
  expect(redacted('SQLite 3.51.3 at +08:00')).toBe('SQLite 3.51.3 at +08:00')
})

test('the text is JSON with all figures, and without addresses of nodes', () => {
  const cluster = { database: 'MySQL', nodes: [{ id: 'n1', address: '10.0.0.7:3001', role: 'master' }], redis: 'away', redis_problem: 'redis://x:y@10.0.0.9 timed out' } as unknown as Cluster
  const text = diagnosticsText({ system: { version: '1.0' } as SystemFacts, readiness: null, cluster, browser: 'b', language: 'en-US', at: 'now' })
  expect(text).not.toContain('10.0.0.7')
  expect(text).not.toContain('x:y')
  expect(JSON.parse(text)).toMatchObject({ system: { version: '1.0' }, cluster: { nodes: [{ id: 'n1', role: 'master' }] } })
})
