// The proxy keys that open a group: its own, and those that open every group.
import { useQuery } from '@pinia/colada'
import { computed, toValue, type MaybeRefOrGetter } from 'vue'
import { server, unwrap } from '@/api/client'
import { parseProxyKeys } from '@/features/proxy-keys/proxyKeys'

export interface ClientKey {
  key: string
  isGlobal: boolean
}

async function fetchGlobalProxyKeys({ signal }: { signal?: AbortSignal } = {}): Promise<string[]> {
  const categories = await unwrap(server.GET('/api/settings', { signal }))
  const value = categories.flatMap((category) => category.settings).find((setting) => setting.key === 'proxy_keys')?.value
  return parseProxyKeys(typeof value === 'string' ? value : '')
}

export function clientKeys(own: string, global: readonly string[]): ClientKey[] {
  const ownKeys = [...new Set(parseProxyKeys(own))]
  return [...ownKeys.map((key) => ({ key, isGlobal: false })), ...[...new Set(global)].filter((key) => !ownKeys.includes(key)).map((key) => ({ key, isGlobal: true }))]
}

/** @param own the group's list with commas. */
export function useClientKeys(own: MaybeRefOrGetter<string>) {
  const global = useQuery({ key: ['settings', 'proxy-keys'], query: fetchGlobalProxyKeys })
  return { keys: computed(() => clientKeys(toValue(own), global.data.value ?? [])), isPending: global.isPending, error: global.error }
}
