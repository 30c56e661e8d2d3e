// A logged request as a command to send it again. The key is a variable: the log has none, and a shell's history should not either. Pure.
import type { LogEntry } from '@/api/logs'

export const KEY_VARIABLE = 'GPT_LOAD_PROXY_KEY'
/** What stands for a body that was not recorded. */
export const BODY_FILE = 'request.json'

export function curlOf(entry: LogEntry, origin: string): string {
  const path = entry.request_path.replace(/([?&](?:key|api_key|api-key|access_token|subscription-key)=)\*\*\*/gi, '$1')
  const url = new URL(path.startsWith('/') ? path : `/${path}`, origin)
  // The log keeps no method; what lists models is read, all else is sent.
  const isReading = entry.request_body === '' && /\/models(?:\/[^/:]*)?$/.test(url.pathname)
  const parts = [`curl ${quoted(origin + path)}`, `-H "Authorization: Bearer $${KEY_VARIABLE}"`]
  if (/\/v1\/messages(?:\/|$)/.test(url.pathname)) parts.push("-H 'anthropic-version: 2023-06-01'")
  if (!isReading) {
    parts.push("-H 'Content-Type: application/json'")
    parts.push(entry.request_body ? `--data-binary ${quoted(entry.request_body)}` : `--data-binary @${BODY_FILE}`)
  }
  if (entry.is_stream) parts.splice(1, 0, '--no-buffer')
  return parts.join(' \\\n  ')
}

/** For a POSIX shell: nothing in it means anything. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
