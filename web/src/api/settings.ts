// The settings of the installation.
import { refusalOf, server, unwrap, type Schemas } from './client'

export type Setting = Schemas['Setting']
export type SettingsCategory = Schemas['SettingsCategory']
export type SettingValue = string | number | boolean

export interface SettingsAnswer {
  categories: SettingsCategory[]
  /** Of what is stored, for `saveSettings`. */
  version: string | null
}

export async function fetchSettings(): Promise<SettingsAnswer> {
  const { data, error, response } = await server.GET('/api/settings')
  if (!response.ok || !data) throw await refusalOf(response, error)
  return { categories: data.data, version: response.headers.get('ETag') }
}

/**
 * Changes what is given.
 *
 * @param version of the settings that the changes were made on: where others changed them meanwhile, nothing is done.
 * @throws {ApiError} `CHANGED_MEANWHILE`
 */
export async function saveSettings(changes: Record<string, SettingValue>, version: string | null): Promise<void> {
  await unwrap(server.PUT('/api/settings', { body: changes as never, headers: version ? { 'If-Match': version } : {} }))
}
