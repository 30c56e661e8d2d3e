// The list of entries.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { effectScope, nextTick, ref, type EffectScope } from 'vue'
import type { LogFilter, LogPage } from '@/api/logs'
import { ENTRIES_MAX, useLogList } from './useLogList'
import { testEntry } from './testing'

let scope: EffectScope
beforeEach(() => (scope = effectScope()))
afterEach(() => scope.stop())

const entry = (id: string) => testEntry({ id, request_id: id })
const settle = async () => {
  for (let turn = 0; turn < 10; turn++) await nextTick()
}

/** Answers that come when they are let. */
function list() {
  const identity = ref('a')
  const filter = ref<LogFilter>({})
  const asked: { cursor: string; answer: (page: LogPage) => void; fail: (error: Error) => void }[] = []
  const fetchPage = (_filter: LogFilter, _span: unknown, cursor: string) =>
    new Promise<LogPage>((resolve, reject) => asked.push({ cursor, answer: resolve, fail: reject }))
  const log = scope.run(() => useLogList({ identity, filter, span: () => ({ from: 0 }), isFolded: ref(false), fetchPage }))
  if (!log) throw new Error('no scope')
  const ids = () => log.rows.value.map((row) => row.entry.id)
  return { log, identity, asked, ids }
}

describe('pages', () => {
  it('follow each other by cursor until there are no more', async () => {
    const { log, asked, ids } = list()
    expect(log.source.total.value).toBeNull()
    asked[0]?.answer({ entries: [entry('3'), entry('2')], nextCursor: 'c1' })
    await settle()
    log.source.look({ from: 0, to: 2 })
    expect(asked[1]?.cursor).toBe('c1')
    log.source.look({ from: 0, to: 2 })
    expect(asked.length).toBe(2)
    asked[1]?.answer({ entries: [entry('1')], nextCursor: null })
    await settle()
    expect(ids()).toEqual(['3', '2', '1'])
    expect(log.isAtEnd.value).toBe(true)
    log.source.look({ from: 0, to: 3 })
    expect(asked.length).toBe(2)
  })

  it('that are empty are passed over while the search goes on', async () => {
    const { asked, ids } = list()
    asked[0]?.answer({ entries: [], nextCursor: 'c1' })
    await settle()
    asked[1]?.answer({ entries: [entry('1')], nextCursor: null })
    await settle()
    expect(ids()).toEqual(['1'])
  })

  it('that stay empty for long are asked about', async () => {
    const { log, asked } = list()
    for (let page = 0; page < 40; page++) {
      asked[page]?.answer({ entries: [], nextCursor: `c${page}` })
      await settle()
    }
    expect(asked.length).toBe(40)
    expect(log.isSearching.value).toBe(true)
    void log.searchOn()
    expect(asked.length).toBe(41)
  })
})

describe('another filter', () => {
  it('shows nothing of late answers to the one before', async () => {
    const { log, asked, identity, ids } = list()
    identity.value = 'b'
    await settle()
    asked[1]?.answer({ entries: [entry('new')], nextCursor: null })
    await settle()
    asked[0]?.answer({ entries: [entry('old')], nextCursor: null })
    await settle()
    expect(ids()).toEqual(['new'])
    expect(log.source.generation.value).toBe(2)
  })

  it('keeps what is shown, as old, until the first answer', async () => {
    const { log, asked, identity, ids } = list()
    asked[0]?.answer({ entries: [entry('old')], nextCursor: null })
    await settle()
    identity.value = 'b'
    await settle()
    expect(ids()).toEqual(['old'])
    expect(log.source.isStale.value).toBe(true)
    asked[1]?.answer({ entries: [], nextCursor: null })
    await settle()
    expect(ids()).toEqual([])
    expect(log.source.isStale.value).toBe(false)
  })

  it('that fails says so and can be tried again', async () => {
    const { log, asked } = list()
    asked[0]?.fail(new Error('no'))
    await settle()
    expect(log.error.value).toEqual(new Error('no'))
    log.reload()
    asked[1]?.answer({ entries: [entry('1')], nextCursor: null })
    await settle()
    expect(log.error.value).toBeNull()
  })
})

describe('entries that come live', () => {
  it('stand on top, each once', async () => {
    const { log, asked, ids } = list()
    asked[0]?.answer({ entries: [entry('1')], nextCursor: null })
    await settle()
    log.prepend([entry('2'), entry('1')])
    expect(ids()).toEqual(['2', '1'])
  })

  it('let the oldest go where there are too many', async () => {
    const { log, asked, ids } = list()
    asked[0]?.answer({ entries: [entry('0')], nextCursor: 'more' })
    await settle()
    log.prepend(Array.from({ length: ENTRIES_MAX }, (_, at) => entry(`n${at}`)))
    expect(ids().length).toBe(ENTRIES_MAX)
    expect(ids()).not.toContain('0')
    expect(log.isCut.value).toBe(true)
    log.source.look({ from: 0, to: ENTRIES_MAX })
    expect(asked.length).toBe(1)
  })

  it('that were missed are fetched where they meet what is there', async () => {
    const { log, asked } = list()
    asked[0]?.answer({ entries: [entry('1')], nextCursor: 'c' })
    await settle()
    const missed = log.fetchMissed()
    asked[1]?.answer({ entries: [entry('3'), entry('2'), entry('1')], nextCursor: 'c' })
    expect((await missed)?.map(({ id }) => id)).toEqual(['3', '2'])
    const hole = log.fetchMissed()
    asked[2]?.answer({ entries: [entry('9')], nextCursor: 'c' })
    expect(await hole).toBeNull()
  })
})
