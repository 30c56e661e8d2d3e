// Server-sent events over `fetch`: unlike the browser's own reader it tells why a stream could not be opened.
import { ApiError, refusalOf, requestHeaders } from './client'
import { reportReached, reportUnreachable } from '@/composables/useConnection'

export interface ServerEvent {
  name: string
  data: string
  /** `null`: it has none. */
  id: string | null
}

/** Text of a stream to events (WHATWG HTML, 9.2.6). */
export class EventParser {
  private rest = ''
  private name = ''
  private data: string[] = []
  private id: string | null = null

  push(text: string): ServerEvent[] {
    const events: ServerEvent[] = []
    // A CR at the very end may be the first half of a line's end.
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/)
    this.rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (this.data.length > 0) events.push({ name: this.name || 'message', data: this.data.join('\n'), id: this.id })
        this.name = ''
        this.data = []
        this.id = null
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') this.name = value
      else if (field === 'data') this.data.push(value)
      else if (field === 'id' && !value.includes('\0')) this.id = value
    }
    return events
  }
}

/**
 * The events of a stream until it ends.
 *
 * @param lastId of the last event that was seen: the stream goes on behind it.
 * @throws {ApiError} where it is refused, or breaks off.
 */
export async function* readEvents(path: string, signal: AbortSignal, lastId: string | null = null): AsyncGenerator<ServerEvent> {
  try {
    const response = await fetch(path, { headers: { ...requestHeaders(), Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) }, signal, cache: 'no-store' })
    if (!response.ok || !response.body) throw await refusalOf(response)
    reportReached()
    const parser = new EventParser()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield* parser.push(value)
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
}
