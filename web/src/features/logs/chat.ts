// The body of a request as a conversation, in whichever of the four formats it is. Pure.

export interface ChatMessage {
  role: string
  text: string
  /** What is no text: pictures, calls of tools, results. */
  parts: string[]
}

export interface ReadBody {
  /** `null`: it is no JSON, perhaps because the log cut it. */
  json: unknown
  messages: ChatMessage[] | null
}

type Plain = Record<string, unknown>

export function readBody(body: string): ReadBody {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return { json: null, messages: null }
  }
  const messages = isPlain(json) ? messagesOf(json) : null
  return { json, messages: messages && messages.length > 0 ? messages : null }
}

function messagesOf(body: Plain): ChatMessage[] | null {
  const before = ['system', 'instructions', 'systemInstruction', 'system_instruction'].flatMap((name) => {
    const value = body[name]
    return value === undefined || value === null ? [] : [messageOf('system', isPlain(value) ? value.parts : value)]
  })
  const list = [body.messages, body.contents, body.input].find(Array.isArray)
  if (list) return [...before, ...list.map((item) => fromItem(item))]
  if (typeof body.input === 'string') return [...before, messageOf('user', body.input)]
  if (typeof body.prompt === 'string') return [...before, messageOf('user', body.prompt)]
  return null
}

function fromItem(item: unknown): ChatMessage {
  if (!isPlain(item)) return messageOf('user', item)
  const role = typeof item.role === 'string' ? item.role : typeof item.type === 'string' ? item.type : 'user'
  const message = messageOf(role, item.content ?? item.parts ?? item.output ?? item.arguments)
  if (Array.isArray(item.tool_calls)) message.parts.push(...item.tool_calls.map((call) => nameOf(isPlain(call) ? (call.function ?? call) : call, 'tool_call')))
  return message
}

function messageOf(role: string, content: unknown): ChatMessage {
  const message: ChatMessage = { role, text: '', parts: [] }
  const texts: string[] = []
  for (const part of Array.isArray(content) ? content : [content]) {
    if (typeof part === 'string') texts.push(part)
    else if (isPlain(part) && typeof part.text === 'string') texts.push(part.text)
    else if (isPlain(part)) message.parts.push(nameOf(part, typeof part.type === 'string' ? part.type : (Object.keys(part)[0] ?? '')))
  }
  message.text = texts.join('\n')
  return message
}

function nameOf(value: unknown, kind: string): string {
  const name = isPlain(value) && typeof value.name === 'string' ? value.name : ''
  return name ? `${kind}: ${name}` : kind
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
