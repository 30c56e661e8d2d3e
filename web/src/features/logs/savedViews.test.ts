// Views of the log with names.
import { beforeEach, expect, it } from 'vitest'
import { VIEWS_MAX, queryOfView, useSavedViews } from './savedViews'

beforeEach(() => localStorage.clear())

it('a view is the address without what was open, in one order', () => {
  expect(queryOfView('?model=a%26b&entry=1&range=1h')).toBe('model=a%26b&range=1h')
  expect(queryOfView('?range=1h&model=a%26b')).toBe('model=a%26b&range=1h')
})

it('views outlast the page, and one of the same name is replaced', () => {
  const { save } = useSavedViews()
  save(' Failures ', '?is_success=false')
  save('All', '')
  save('Failures', '?is_success=false&range=7d')
  expect(useSavedViews().views.value).toEqual([
    { name: 'Failures', query: 'is_success=false&range=7d' },
    { name: 'All', query: '' },
  ])
})

it('one that was removed comes back where it was', () => {
  const { save, remove, restore, views } = useSavedViews()
  for (const name of ['a', 'b', 'c']) save(name, '')
  remove('b')
  restore({ name: 'b', query: '' }, 1)
  expect(views.value.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
})

it('there are never more than so many, and odd things in the storage do no harm', () => {
  localStorage.setItem('gpt-load.log-views', '[{"name":1},null,{"name":"x","query":""}]')
  const { save, views } = useSavedViews()
  expect(views.value).toEqual([{ name: 'x', query: '' }])
  for (let i = 0; i <= VIEWS_MAX; i++) save(`v${i}`, '')
  expect(views.value.length).toBe(VIEWS_MAX)
})
