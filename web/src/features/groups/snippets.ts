// What a client needs to ask through a group, as code that can be pasted: curl, the official SDKs, environment variables.
import { channelFacts, isChannel, type Channel } from './channels'

export const SNIPPET_KINDS = ['curl', 'python', 'node', 'go', 'env'] as const
export type SnippetKind = (typeof SNIPPET_KINDS)[number]

export interface SnippetTarget {
  channel: string
  /** Where clients reach the group, without a slash at the end. */
  endpoint: string
  /** Whole, or masked for the screen. */
  key: string
  model: string
  /** The group's own path for tests of keys, which tells where its API begins; empty for the usual one. */
  testPath?: string
}

/** What is to be installed first; none for curl and variables. */
export function packageOf(channel: string, kind: SnippetKind): string | null {
  return isChannel(channel) ? (PACKAGES[familyOf(channel)][kind] ?? null) : null
}

export function snippet(kind: SnippetKind, target: SnippetTarget): string {
  // A channel that this release does not know: what most of them speak.
  const channel = isChannel(target.channel) ? target.channel : 'openai'
  return WRITERS[channel][kind]({ ...target, endpoint: target.endpoint.replace(/\/+$/, '') })
}

/** The address and body of the smallest request that gets an answer: for curl, the first request of the wizard, the playground. */
export function firstRequest(target: Omit<SnippetTarget, 'key'>): { path: string; body: Record<string, unknown> } {
  const channel = isChannel(target.channel) ? target.channel : 'openai'
  const path = testPathOf({ ...target, key: '' }, channel)
  const messages = [{ role: 'user', content: HELLO }]
  switch (channel) {
    case 'openai':
      return { path, body: { model: target.model, messages } }
    case 'openai-response':
      return { path, body: { model: target.model, input: HELLO } }
    case 'anthropic':
      return { path, body: { model: target.model, max_tokens: 1024, messages } }
    case 'gemini':
      return { path, body: { contents: [{ parts: [{ text: HELLO }] }] } }
  }
}

/** The headers by which a client of this format shows its key. */
export function credentialHeaders(channel: string, key: string): Record<string, string> {
  switch (channel) {
    case 'anthropic':
      return { 'x-api-key': key, 'anthropic-version': '2023-06-01' }
    case 'gemini':
      return { 'x-goog-api-key': key }
    default:
      return { Authorization: `Bearer ${key}` }
  }
}

/** What an SDK of OpenAI's is given as its base: the group's endpoint, and where its API begins below it. */
export function openAiBase(target: Pick<SnippetTarget, 'endpoint' | 'testPath'>): string {
  const known = /^(.*?)\/(?:chat\/completions|completions|responses|embeddings|models)(?:[/?].*)?$/.exec(target.testPath ?? '')
  return `${target.endpoint.replace(/\/+$/, '')}${known ? known[1] : '/v1'}`
}

const HELLO = 'Hello!'

type Family = 'openai' | 'anthropic' | 'gemini'

function familyOf(channel: Channel): Family {
  return channel === 'openai-response' ? 'openai' : channel
}

const PACKAGES: Record<Family, Partial<Record<SnippetKind, string>>> = {
  openai: { python: 'pip install openai', node: 'npm install openai', go: 'go get github.com/openai/openai-go/v3' },
  anthropic: { python: 'pip install anthropic', node: 'npm install @anthropic-ai/sdk', go: 'go get github.com/anthropics/anthropic-sdk-go' },
  gemini: { python: 'pip install google-genai', node: 'npm install @google/genai', go: 'go get google.golang.org/genai' },
}

function testPathOf(target: SnippetTarget, channel: Channel): string {
  if (channel === 'gemini') return `/v1beta/models/${encodeURIComponent(target.model.replace(/^models\//, ''))}:generateContent`
  if (channel === 'anthropic') return channelFacts(channel).testPath
  const end = channel === 'openai' ? '/chat/completions' : '/responses'
  return openAiBase({ endpoint: '', testPath: target.testPath }) + end
}

/** Python, JavaScript and Go read a JSON text as their own. */
const quoted = (text: string) => JSON.stringify(text)
const shellQuoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
/** Inside double quotes of a shell. */
const shellEscaped = (text: string) => text.replace(/["\\$`]/g, '\\$&')

function curl(target: SnippetTarget, channel: Channel): string {
  const { path, body } = firstRequest(target)
  const headers = { 'Content-Type': 'application/json', ...credentialHeaders(channel, target.key) }
  return [
    `curl ${shellQuoted(target.endpoint + path)}`,
    ...Object.entries(headers).map(([name, value]) => `  -H ${shellQuoted(`${name}: ${value}`)}`),
    `  -d ${shellQuoted(JSON.stringify(body))}`,
  ].join(' \\\n')
}

function variables(pairs: Record<string, string>): string {
  return Object.entries(pairs)
    .map(([name, value]) => `export ${name}="${shellEscaped(value)}"`)
    .join('\n')
}

const openAiPython = (target: SnippetTarget, call: string) => `from openai import OpenAI

client = OpenAI(
    base_url=${quoted(openAiBase(target))},
    api_key=${quoted(target.key)},
)

${call}`

const openAiNode = (target: SnippetTarget, call: string) => `import OpenAI from 'openai'

const client = new OpenAI({
  baseURL: ${quoted(openAiBase(target))},
  apiKey: ${quoted(target.key)},
})

${call}`

const openAiGo = (target: SnippetTarget, imports: string, call: string) => `package main

import (
	"context"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"${imports}
)

func main() {
	client := openai.NewClient(
		option.WithBaseURL(${quoted(openAiBase(target))}),
		option.WithAPIKey(${quoted(target.key)}),
	)
${call}
}`

const openAiEnv = (target: SnippetTarget) => variables({ OPENAI_BASE_URL: openAiBase(target), OPENAI_API_KEY: target.key })

const WRITERS: Record<Channel, Record<SnippetKind, (target: SnippetTarget) => string>> = {
  openai: {
    curl: (target) => curl(target, 'openai'),
    python: (target) =>
      openAiPython(
        target,
        `answer = client.chat.completions.create(
    model=${quoted(target.model)},
    messages=[{"role": "user", "content": ${quoted(HELLO)}}],
)
print(answer.choices[0].message.content)`,
      ),
    node: (target) =>
      openAiNode(
        target,
        `const answer = await client.chat.completions.create({
  model: ${quoted(target.model)},
  messages: [{ role: 'user', content: ${quoted(HELLO)} }],
})
console.log(answer.choices[0].message.content)`,
      ),
    go: (target) =>
      openAiGo(
        target,
        '',
        `	answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    ${quoted(target.model)},
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(${quoted(HELLO)})},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)`,
      ),
    env: openAiEnv,
  },
  'openai-response': {
    curl: (target) => curl(target, 'openai-response'),
    python: (target) => openAiPython(target, `answer = client.responses.create(model=${quoted(target.model)}, input=${quoted(HELLO)})\nprint(answer.output_text)`),
    node: (target) => openAiNode(target, `const answer = await client.responses.create({ model: ${quoted(target.model)}, input: ${quoted(HELLO)} })\nconsole.log(answer.output_text)`),
    go: (target) =>
      openAiGo(
        target,
        '\n\t"github.com/openai/openai-go/v3/responses"',
        `	answer, err := client.Responses.New(context.Background(), responses.ResponseNewParams{
		Model: ${quoted(target.model)},
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(${quoted(HELLO)})},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.OutputText())`,
      ),
    env: openAiEnv,
  },
  anthropic: {
    curl: (target) => curl(target, 'anthropic'),
    python: (target) => `from anthropic import Anthropic

client = Anthropic(
    base_url=${quoted(target.endpoint)},
    api_key=${quoted(target.key)},
)

answer = client.messages.create(
    model=${quoted(target.model)},
    max_tokens=1024,
    messages=[{"role": "user", "content": ${quoted(HELLO)}}],
)
print(answer.content[0].text)`,
    node: (target) => `import Anthropic from '@anthropic-ai/sdk'

const client = new Anthropic({
  baseURL: ${quoted(target.endpoint)},
  apiKey: ${quoted(target.key)},
})

const answer = await client.messages.create({
  model: ${quoted(target.model)},
  max_tokens: 1024,
  messages: [{ role: 'user', content: ${quoted(HELLO)} }],
})
console.log(answer.content[0].text)`,
    go: (target) => `package main

import (
	"context"
	"fmt"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func main() {
	client := anthropic.NewClient(
		option.WithBaseURL(${quoted(target.endpoint)}),
		option.WithAPIKey(${quoted(target.key)}),
	)
	answer, err := client.Messages.New(context.Background(), anthropic.MessageNewParams{
		Model:     ${quoted(target.model)},
		MaxTokens: 1024,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(${quoted(HELLO)}))},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Content[0].Text)
}`,
    env: (target) => variables({ ANTHROPIC_BASE_URL: target.endpoint, ANTHROPIC_API_KEY: target.key }),
  },
  gemini: {
    curl: (target) => curl(target, 'gemini'),
    python: (target) => `from google import genai
from google.genai import types

client = genai.Client(
    api_key=${quoted(target.key)},
    http_options=types.HttpOptions(base_url=${quoted(target.endpoint)}),
)

answer = client.models.generate_content(model=${quoted(target.model)}, contents=${quoted(HELLO)})
print(answer.text)`,
    node: (target) => `import { GoogleGenAI } from '@google/genai'

const client = new GoogleGenAI({
  apiKey: ${quoted(target.key)},
  httpOptions: { baseUrl: ${quoted(target.endpoint)} },
})

const answer = await client.models.generateContent({ model: ${quoted(target.model)}, contents: ${quoted(HELLO)} })
console.log(answer.text)`,
    go: (target) => `package main

import (
	"context"
	"fmt"

	"google.golang.org/genai"
)

func main() {
	ctx := context.Background()
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		APIKey:      ${quoted(target.key)},
		Backend:     genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: ${quoted(target.endpoint)}},
	})
	if err != nil {
		panic(err)
	}
	answer, err := client.Models.GenerateContent(ctx, ${quoted(target.model)}, genai.Text(${quoted(HELLO)}), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Text())
}`,
    env: (target) => variables({ GOOGLE_GEMINI_BASE_URL: target.endpoint, GEMINI_API_KEY: target.key }),
  },
}
