// A server that has been at work: groups of each format, keys in each state, and requests that went well, badly and twice.
import { Gateway, type Group } from './gateway'
import { Upstream } from './upstream'
import { eventually } from './wait'

export interface House {
  gateway: Gateway
  upstream: Upstream
  groups: Record<'openai' | 'responses' | 'anthropic' | 'gemini' | 'everything' | 'empty', Group>
  /** Of an entry of the log that has earlier attempts. */
  entryId: string
  close: () => Promise<void>
}

const QUESTION = { model: 'mock-small', messages: [{ role: 'user', content: 'hi' }] }
const CHAT = 'v1/chat/completions'

/** Only the two programs. */
export async function openEmptyHouse(env: Record<string, string> = {}): Promise<Pick<House, 'gateway' | 'upstream' | 'close'>> {
  const upstream = await Upstream.start()
  const gateway = await Gateway.start(env).catch(async (error: unknown) => {
    await upstream.stop()
    throw error
  })
  const close = async () => {
    await gateway.remove()
    await upstream.stop()
  }
  return { gateway, upstream, close }
}

export async function openHouse(): Promise<House> {
  const { gateway, upstream, close } = await openEmptyHouse()
  try {
    const groups = await makeGroups(gateway, upstream)
    await makeTraffic(gateway, upstream)
    const entryId = await eventually('the log has what was asked', async () => {
      const { items } = await gateway.manage<{ items: { id: string; status_code: number; request_type: string }[] }>('GET', '/api/logs?page_size=100')
      return items.find((entry) => entry.status_code === 503 && entry.request_type === 'retry') && items.find((entry) => entry.status_code === 503 && entry.request_type === 'final')?.id
    })
    return { gateway, upstream, groups, entryId, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function makeGroups(gateway: Gateway, upstream: Upstream): Promise<House['groups']> {
  const openai = await gateway.createGroup('openai', upstream.url, {
    display_name: 'OpenAI, main account',
    description: 'Chat and embeddings of the product',
    upstreams: [
      { url: upstream.url, weight: 3 },
      { url: `${upstream.url}/second`, weight: 1 },
    ],
    config: { max_retries: 2, blacklist_threshold: 1, request_timeout: 120 },
  })
  const responses = await gateway.createGroup('openai-responses', upstream.url, { channel_type: 'openai-response', display_name: 'OpenAI Responses' })
  const anthropic = await gateway.createGroup('anthropic', upstream.url, {
    channel_type: 'anthropic',
    display_name: 'Claude',
    model_redirect_rules: { 'claude-fast': 'mock-small' },
    header_rules: [{ key: 'X-Team', value: 'search', action: 'set' }],
  })
  const gemini = await gateway.createGroup('gemini', upstream.url, { channel_type: 'gemini', display_name: 'Gemini', param_overrides: { temperature: 0.2 } })
  await gateway.addKeys(openai, Array.from({ length: 12 }, (_, index) => `sk-openai-of-a-test-${String(index).padStart(4, '0')}`))
  await gateway.addKeys(responses, ['sk-responses-of-a-test-1', 'sk-responses-of-a-test-2'])
  await gateway.addKeys(anthropic, ['sk-ant-of-a-test-1', 'sk-ant-of-a-test-2', 'sk-ant-of-a-test-3'])
  await gateway.addKeys(gemini, ['AIza-of-a-test-1', 'AIza-of-a-test-2'])
  const everything = await gateway.createAggregate('everything', 'openai', [openai, await second(gateway, upstream)])
  const empty = await gateway.createGroup('empty', upstream.url, { display_name: 'A group without keys' })
  return { openai, responses, anthropic, gemini, everything, empty }
}

async function second(gateway: Gateway, upstream: Upstream): Promise<Group> {
  const group = await gateway.createGroup('openai-spare', upstream.url, { display_name: 'OpenAI, spare account' })
  await gateway.addKeys(group, ['sk-spare-of-a-test-1', 'sk-spare-of-a-test-2'])
  return group
}

async function makeTraffic(gateway: Gateway, upstream: Upstream): Promise<void> {
  // One key is refused, one is told to wait; both requests are answered by another key.
  await upstream.play('sk-openai-of-a-test-0003', { status: 401 })
  await upstream.play('sk-openai-of-a-test-0007', { status: 429, headers: [['Retry-After', '3600']] })
  for (let round = 0; round < 14; round++) {
    await gateway.ask(`openai/${CHAT}`, QUESTION, { 'User-Agent': 'openai-python/2.8.0' })
    await gateway.ask(`everything/${CHAT}`, { ...QUESTION, stream: true })
  }
  await gateway.ask('openai-responses/v1/responses', { model: 'mock-small', input: 'hi', stream: true })
  for (const model of ['claude-fast', 'mock-large']) await gateway.ask('anthropic/v1/messages', { ...QUESTION, model, max_tokens: 16 })
  await gateway.ask('gemini/v1beta/models/mock-small:generateContent', { contents: [{ parts: [{ text: 'hi' }] }] })
  await gateway.ask('gemini/v1beta/models/mock-small:streamGenerateContent', { contents: [{ parts: [{ text: 'hi' }] }] })
  // No key to try, a mistake of the caller's, an upstream that is down, an answer that breaks off, a slow one.
  await gateway.ask(`empty/${CHAT}`, QUESTION)
  await upstream.playAny({ status: 400 }, 1)
  await gateway.ask(`openai/${CHAT}`, QUESTION)
  await upstream.playAny({ status: 503 }, 3)
  await gateway.ask(`openai/${CHAT}`, QUESTION)
  await upstream.playAny({ ending: { close_after: 2 } }, 1)
  await gateway.ask(`openai/${CHAT}`, { ...QUESTION, stream: true })
  await upstream.playAny({ delay_milliseconds: 400, chunks: 3, gap_milliseconds: 50 }, 1)
  await gateway.ask(`openai/${CHAT}`, { ...QUESTION, stream: true })
}
