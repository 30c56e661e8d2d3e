// Server-sent events out of a text that comes in pieces, wherever they were cut.

export interface StreamEvent {
  /** Empty: an event without a name. */
  name: string
  data: string
}

export function eventReader(): (piece: string) => StreamEvent[] {
  let rest = ''
  let name = ''
  let data: string[] = []

  return (piece) => {
    // A piece may end between the two characters of one line break.
    const text = rest + piece
    const usable = text.endsWith('\r') ? text.slice(0, -1) : text
    const lines = usable.split(/\r\n|\n|\r/)
    rest = (lines.pop() ?? '') + text.slice(usable.length)

    const events: StreamEvent[] = []
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) events.push({ name, data: data.join('\n') })
        name = ''
        data = []
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') data.push(value)
      else if (field === 'event') name = value
    }
    return events
  }
}
