// What the model said, out of a whole answer or one event of a stream, in any of the API formats.

type Plain = Record<string, unknown>

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown) => (typeof value === 'string' ? value : '')
const list = (value: unknown) => (Array.isArray(value) ? value.filter(isPlain) : [])

/** Empty where nothing is said: a list of models, numbers, an error. */
export function answerText(json: unknown): string {
  if (!isPlain(json)) return ''
  return fromChoices(json) || fromResponses(json) || fromAnthropic(json) || fromGemini(json)
}

function fromChoices(json: Plain): string {
  const [choice] = list(json.choices)
  if (!choice) return ''
  const message = isPlain(choice.delta) ? choice.delta : isPlain(choice.message) ? choice.message : {}
  return text(message.content) || list(message.content).map((part) => text(part.text)).join('') || text(choice.text)
}

function fromResponses(json: Plain): string {
  if (json.type === 'response.output_text.delta') return text(json.delta)
  return list(json.output)
    .flatMap((item) => list(item.content))
    .map((part) => text(part.text))
    .join('')
}

function fromAnthropic(json: Plain): string {
  if (json.type === 'content_block_delta') return isPlain(json.delta) ? text(json.delta.text) : ''
  return list(json.content).map((part) => text(part.text)).join('')
}

function fromGemini(json: Plain): string {
  const [candidate] = list(json.candidates)
  return candidate && isPlain(candidate.content) ? list(candidate.content.parts).map((part) => text(part.text)).join('') : ''
}

export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source) as unknown
  } catch {
    return undefined
  }
}

/** With an indent, if it is JSON. */
export function prettyJson(source: string): string {
  const json = parseJson(source)
  return json === undefined ? source : JSON.stringify(json, null, 2)
}
