// What is about to be sent: through which group, with which key, and from which beginning it was made.
import { computed, ref, watch, type Ref } from 'vue'
import type { Group } from '@/api/groups'
import type { LogEntry } from '@/api/logs'
import { channelFacts } from '@/features/groups/channels'
import { credentialHeaders } from '@/features/groups/snippets'
import { useClientKeys } from '@/features/groups/useClientKeys'
import { jsonFault } from './jsonFault'
import { canStream, draftOf, modelNames, modelsPath, parseHeaders, pathOfEntry, presetsOf, withChanged, type Draft, type PresetName } from './presets'

const PROMPT = 'Hello!'

export type ModelsState = 'none' | 'loading' | 'loaded' | 'failed'

export function usePlayground(group: Ref<Group | null>) {
  const channel = computed(() => group.value?.channel_type ?? 'openai')
  const preset = ref<PresetName>('chat')
  const model = ref('')
  const isStreamed = ref(true)
  const draft = ref<Draft>({ method: 'POST', path: '', headers: '', body: '' })
  /** The draft as it was made; what differs was edited by hand. */
  const made = ref('')
  const isEdited = computed(() => made.value !== '' && JSON.stringify(draft.value) !== made.value)

  const keys = useClientKeys(() => group.value?.proxy_keys ?? '')
  const chosenKey = ref<string | null>(null)
  const typedKey = ref('')
  const isKeyTyped = ref(false)
  const key = computed(() => (isKeyTyped.value ? typedKey.value.trim() : (keys.keys.value.find(({ key }) => key === chosenKey.value)?.key ?? keys.keys.value[0]?.key ?? '')))
  const credential = computed(() => credentialHeaders(channel.value, key.value))
  const endpoint = computed(() => (group.value ? `/proxy/${encodeURIComponent(group.value.name)}` : ''))

  function make(): void {
    draft.value = draftOf({ channel: channel.value, preset: preset.value, model: model.value, isStreamed: isStreamed.value, prompt: PROMPT })
    made.value = JSON.stringify(draft.value)
  }

  function choosePreset(chosen: PresetName): void {
    preset.value = chosen
    make()
  }

  function chooseModel(chosen: string): void {
    model.value = chosen
    change({ model: chosen })
  }

  function chooseStream(streamed: boolean): void {
    isStreamed.value = streamed
    change({ isStreamed: streamed })
  }

  function change(what: { model?: string; isStreamed?: boolean }): void {
    if (!isEdited.value && preset.value !== 'free') make()
    else draft.value = withChanged(draft.value, what)
  }

  const models = ref<string[]>([])
  const modelsState = ref<ModelsState>('none')
  async function fetchModels(): Promise<void> {
    const asked = group.value?.id
    modelsState.value = 'loading'
    try {
      const response = await fetch(endpoint.value + modelsPath(channel.value), { headers: credential.value, credentials: 'omit', cache: 'no-store' })
      const found = response.ok ? modelNames(await response.json()) : []
      // Somebody may have gone on to another group.
      if (group.value?.id !== asked) return
      models.value = found
      modelsState.value = found.length > 0 ? 'loaded' : 'failed'
    } catch {
      if (group.value?.id === asked) modelsState.value = 'failed'
    }
  }

  watch(
    () => group.value?.id,
    () => {
      models.value = []
      modelsState.value = 'none'
      chosenKey.value = null
      if (!group.value) return
      const facts = channelFacts(channel.value)
      model.value = group.value.test_model || facts.testModel || facts.models[0] || ''
      if (!presetsOf(channel.value).includes(preset.value) || !isEdited.value) choosePreset(presetsOf(channel.value)[0] ?? 'free')
    },
    { immediate: true },
  )

  /** The request of an entry of the log, as far as the log has it. */
  function fillFrom(entry: LogEntry): void {
    preset.value = 'free'
    model.value = entry.model
    isStreamed.value = entry.is_stream
    const body = entry.request_body ?? ''
    draft.value = { method: body === '' && !entry.has_request_body && /\/models(\?|$)/.test(entry.request_path) ? 'GET' : 'POST', path: pathOfEntry(entry.request_path), headers: 'Content-Type: application/json', body }
    made.value = JSON.stringify(draft.value)
  }

  const bodyFault = computed(() => (draft.value.method === 'GET' ? null : jsonFault(draft.value.body)))
  const headersAreWrong = computed(() => parseHeaders(draft.value.headers) === null)
  const suggestions = computed(() => (models.value.length > 0 ? models.value : channelFacts(channel.value).models))
  const streams = computed(() => canStream(preset.value))

  return { channel, preset, model, isStreamed, draft, isEdited, keys, chosenKey, typedKey, isKeyTyped, key, credential, endpoint, models, modelsState, suggestions, streams, bodyFault, headersAreWrong, choosePreset, chooseModel, chooseStream, fetchModels, fillFrom }
}

export type Playground = ReturnType<typeof usePlayground>
