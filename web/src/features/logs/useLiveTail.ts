// Follows the log: entries as they happen, in small lots, over a connection that comes back by itself.
import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { ApiError } from '@/api/client'
import { readEvents, type ServerEvent } from '@/api/events'
import { logParameters, type LogEntry, type LogFilter } from '@/api/logs'

/** Entries of so long a time are shown together: a page that changes a hundred times a second is not read. */
const LOT_MS = 250
/** Before the first try to come back; doubled after each one in vain, up to the second figure. */
const FIRST_WAIT_MS = 1_000
const WAIT_MAX_MS = 30_000

export type LiveState =
  | { kind: 'off' }
  | { kind: 'connecting' }
  | { kind: 'open' }
  /** Until then it waits before it tries again; why, if it was refused. */
  | { kind: 'waiting'; until: number; error: unknown }

export interface LiveTailOptions {
  filter: Readonly<Ref<LogFilter>>
  isOn: Readonly<Ref<boolean>>
  /** In the order in which they came. */
  onEntries: (entries: LogEntry[]) => void
  /** So many passed unseen, whether they match or not. */
  onMissed: (count: number) => void
  /** The stream has begun (again): what came before is not in it. */
  onOpen: () => void
  open?: (filter: LogFilter, signal: AbortSignal, lastId: string | null) => AsyncIterable<ServerEvent>
}

function openLive(filter: LogFilter, signal: AbortSignal, lastId: string | null): AsyncIterable<ServerEvent> {
  return readEvents(`/api/logs/live?${logParameters(filter)}`, signal, lastId)
}

export function useLiveTail(options: LiveTailOptions): { state: Readonly<Ref<LiveState>> } {
  const open = options.open ?? openLive
  const state = shallowRef<LiveState>({ kind: 'off' })
  const isHidden = ref(document.hidden)
  let abort: AbortController | undefined
  let waiting: LogEntry[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  let lastId: string | null = null

  function flush(): void {
    timer = undefined
    const entries = waiting
    waiting = []
    if (entries.length > 0) options.onEntries(entries)
  }

  function take(event: ServerEvent): void {
    if (event.id !== null) lastId = event.id
    if (event.name === 'entry') {
      waiting.push(JSON.parse(event.data) as LogEntry)
      timer ??= setTimeout(flush, LOT_MS)
    } else if (event.name === 'missed') {
      options.onMissed((JSON.parse(event.data) as { count: number }).count)
    }
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      state.value = { kind: 'connecting' }
      let error: unknown = null
      try {
        for await (const event of open(options.filter.value, signal, lastId)) {
          if (signal.aborted) return
          if (event.name === 'open') {
            failures = 0
            state.value = { kind: 'open' }
            options.onOpen()
          } else take(event)
        }
      } catch (problem) {
        error = problem
      }
      // Nobody is signed in any more: the router leads away.
      if (signal.aborted || (error instanceof ApiError && error.status === 401)) return
      const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0
      const waitMs = Math.max(Math.min(FIRST_WAIT_MS * 2 ** failures++, WAIT_MAX_MS), asked)
      state.value = { kind: 'waiting', until: Date.now() + waitMs, error }
      await rest(waitMs, signal)
    }
  }

  function stop(): void {
    abort?.abort()
    abort = undefined
    clearTimeout(timer)
    flush()
    state.value = { kind: 'off' }
  }

  const onVisibility = () => (isHidden.value = document.hidden)
  document.addEventListener('visibilitychange', onVisibility)

  watch(options.filter, () => (lastId = null), { flush: 'sync' })
  watch(
    // A hidden tab gives its place back: the server has a few only. What came meanwhile comes when it is seen again.
    [options.isOn, options.filter, isHidden],
    ([isOn, , hidden]) => {
      stop()
      if (!isOn || hidden) return
      abort = new AbortController()
      void follow(abort.signal)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    document.removeEventListener('visibilitychange', onVisibility)
    waiting = []
    stop()
  })

  return { state }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
