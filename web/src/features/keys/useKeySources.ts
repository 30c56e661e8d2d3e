// What somebody pasted and dropped, as one list of keys.
import { computed, ref, shallowRef, watch } from 'vue'
import { FILE_BYTES_MAX, SourceError, keysText, kindOf, readKeys, type NamedKeys, type SourceProblem } from './keySources'

export interface SourceFile {
  id: number
  name: string
  /** `null` while it is read. */
  list: NamedKeys | null
  problem: SourceProblem | null
}

let lastId = 0

export function useKeySources() {
  const text = ref('')
  const files = shallowRef<SourceFile[]>([])

  const pasted = computed<{ list: NamedKeys | null; problem: SourceProblem | null }>(() => {
    try {
      return { list: { name: '', ...readKeys(text.value, 'text') }, problem: null }
    } catch (error) {
      return { list: null, problem: (error as SourceError).problem }
    }
  })

  async function addFiles(added: Iterable<File>): Promise<void> {
    await Promise.all(
      [...added].map(async (file) => {
        const id = ++lastId
        const put = (part: Partial<SourceFile>) => (files.value = files.value.map((one) => (one.id === id ? { ...one, ...part } : one)))
        files.value = [...files.value, { id, name: file.name, list: null, problem: null }]
        if (file.size > FILE_BYTES_MAX) return put({ problem: { reason: 'too_large' } })
        try {
          const list = readKeys(await file.text(), kindOf(file.name))
          put(list.keys.length > 0 ? { list: { name: file.name, ...list } } : { problem: { reason: 'no_keys' } })
        } catch (error) {
          put({ problem: error instanceof SourceError ? error.problem : { reason: 'not_text' } })
        }
      }),
    )
  }

  const sources = computed(() => [pasted.value.list, ...files.value.map((file) => file.list)].filter((list) => list !== null && list.keys.length > 0) as NamedKeys[])
  const count = computed(() => sources.value.reduce((sum, source) => sum + source.keys.length, 0))
  const isReading = computed(() => files.value.some((file) => !file.list && !file.problem))
  const hasProblem = computed(() => pasted.value.problem !== null || files.value.some((file) => file.problem))

  return {
    text,
    files,
    pastedProblem: computed(() => pasted.value.problem),
    sources,
    count,
    isReading,
    hasProblem,
    isEmpty: computed(() => text.value.trim() === '' && files.value.length === 0),
    addFiles,
    removeFile: (id: number) => (files.value = files.value.filter((file) => file.id !== id)),
    clear() {
      text.value = ''
      files.value = []
    },
    /** All of them as the server takes them; made on demand, it may be long. */
    toText: () => keysText(sources.value.flatMap((source) => source.keys)),
  }
}

export type KeySources = ReturnType<typeof useKeySources>

/** While somebody types the server is not asked; it is soon after. */
const SETTLE_MS = 350

/** Counts up, a moment after the last change: what a preview of these keys depends on. */
export function useSettled(sources: KeySources) {
  const revision = ref(0)
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    sources.sources,
    (_, __, onCleanup) => {
      timer = setTimeout(() => revision.value++, SETTLE_MS)
      onCleanup(() => clearTimeout(timer))
    },
    { immediate: true },
  )
  return revision
}
