// The API formats a group can speak: what each is called, and what a new group of it begins with.

export const CHANNELS = ['openai', 'openai-response', 'gemini', 'anthropic'] as const
export type Channel = (typeof CHANNELS)[number]

export interface ChannelFacts {
  /** A name of its own, the same in every language. */
  name: string
  upstream: string
  testModel: string
  /** Where keys are tested unless the group says otherwise; empty where it follows from the model. */
  testPath: string
  /** Models that come to mind; only to suggest them while one types. */
  models: readonly string[]
}

const FACTS: Record<Channel, ChannelFacts> = {
  openai: {
    name: 'OpenAI',
    upstream: 'https://api.openai.com',
    testModel: 'gpt-4.1-nano',
    testPath: '/v1/chat/completions',
    models: ['gpt-4.1', 'gpt-4.1-mini', 'gpt-4.1-nano', 'gpt-4o', 'gpt-4o-mini', 'o4-mini', 'text-embedding-3-small'],
  },
  'openai-response': {
    name: 'OpenAI Responses',
    upstream: 'https://api.openai.com',
    testModel: 'gpt-5-nano',
    testPath: '/v1/responses',
    models: ['gpt-5', 'gpt-5-mini', 'gpt-5-nano', 'gpt-4.1', 'gpt-4.1-mini', 'o4-mini'],
  },
  gemini: {
    name: 'Gemini',
    upstream: 'https://generativelanguage.googleapis.com',
    testModel: 'gemini-2.5-flash-lite',
    testPath: '',
    models: ['gemini-2.5-pro', 'gemini-2.5-flash', 'gemini-2.5-flash-lite', 'gemini-2.0-flash'],
  },
  anthropic: {
    name: 'Anthropic',
    upstream: 'https://api.anthropic.com',
    testModel: 'claude-haiku-4-5',
    testPath: '/v1/messages',
    models: ['claude-opus-4-1', 'claude-sonnet-4-5', 'claude-haiku-4-5', 'claude-3-5-haiku-latest'],
  },
}

export function isChannel(text: unknown): text is Channel {
  return CHANNELS.some((channel) => channel === text)
}

export function channelFacts(channel: string): ChannelFacts {
  // A stored group may have a channel that this release does not know.
  return isChannel(channel) ? FACTS[channel] : { name: channel, upstream: '', testModel: '', testPath: '', models: [] }
}

export const CHANNEL_OPTIONS = CHANNELS.map((value) => ({ value, text: FACTS[value].name }))
