// Filters that somebody gave a name: the address of the log without what was open, remembered by his browser.
import { readonly, ref } from 'vue'

export interface SavedView {
  name: string
  /** What stands behind the `?`. */
  query: string
}

const STORED_AS = 'gpt-load.log-views'
export const VIEWS_MAX = 50
export const NAME_CHARACTERS_MAX = 60

/** Not part of a view: it is of this moment. */
const PASSING = ['entry']

export function queryOfView(search: string): string {
  const query = new URLSearchParams(search)
  for (const name of PASSING) query.delete(name)
  query.sort()
  return query.toString()
}

export function useSavedViews() {
  const views = ref(read())

  function keep(changed: SavedView[]): void {
    views.value = changed
    try {
      localStorage.setItem(STORED_AS, JSON.stringify(changed))
    } catch {
      // No storage: they last as long as the page.
    }
  }

  return {
    views: readonly(views),
    /** One of the same name is replaced. */
    save: (name: string, search: string) => {
      const view = { name: name.trim(), query: queryOfView(search) }
      const at = views.value.findIndex((one) => one.name === view.name)
      keep(at >= 0 ? views.value.with(at, view) : [...views.value, view].slice(-VIEWS_MAX))
    },
    remove: (name: string) => keep(views.value.filter((view) => view.name !== name)),
    restore: (view: SavedView, at: number) => keep(views.value.toSpliced(at, 0, view)),
  }
}

function read(): SavedView[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED_AS) ?? '[]')
    if (!Array.isArray(stored)) return []
    return stored.filter((view): view is SavedView => typeof view?.name === 'string' && typeof view?.query === 'string').slice(0, VIEWS_MAX)
  } catch {
    return []
  }
}
