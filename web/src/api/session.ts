// Who is at the console: a session in a cookie that no script can read.
import { ApiError, refusalOf, requestHeaders } from './client'
import { reportReached, reportUnreachable } from '@/composables/useConnection'

/** Whether a session is open. Quiet: a 401 here leads nowhere. */
export async function hasSession(): Promise<boolean> {
  const response = await ask('GET')
  if (response.status === 401) return false
  if (!response.ok) throw await refusalOf(response)
  return true
}

/**
 * Opens a session with the management key.
 *
 * @throws {ApiError} 401 for a wrong key, 429 with `retryAfterSeconds` after too many of them.
 */
export async function openSession(authKey: string, remember: boolean): Promise<void> {
  const response = await ask('POST', { auth_key: authKey, remember })
  if (response.ok) return
  const told = (await response.json().catch(() => null)) as { code?: string; message?: string } | null
  const seconds = Number(response.headers.get('Retry-After') ?? Number.NaN)
  throw new ApiError(response.status, told?.code ?? '', told?.message ?? '', Number.isFinite(seconds) ? seconds : null)
}

export async function closeSession(): Promise<void> {
  await ask('DELETE')
}

// Not through `server`: a 401 is an answer here, not the end of a session.
async function ask(method: string, body?: unknown): Promise<Response> {
  try {
    const response = await fetch('/api/session', {
      method,
      headers: { ...requestHeaders(), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
      cache: 'no-store',
    })
    reportReached()
    return response
  } catch {
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
}

