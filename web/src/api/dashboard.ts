// What an operator should know first.
import { server, unwrap, type Schemas } from './client'

export type SecurityWarning = Schemas['SecurityWarning']
export type EncryptionStatus = Schemas['EncryptionStatus']

interface Asked {
  signal?: AbortSignal
}

/** Secrets that are easily guessed, in the words of the language shown. */
export async function fetchSecurityWarnings({ signal }: Asked = {}): Promise<SecurityWarning[]> {
  const { security_warnings } = await unwrap(server.GET('/api/dashboard/stats', { signal }))
  return security_warnings ?? []
}

/** Whether the stored keys and `ENCRYPTION_KEY` fit each other. */
export function fetchEncryptionStatus({ signal }: Asked = {}): Promise<EncryptionStatus> {
  return unwrap(server.GET('/api/dashboard/encryption-status', { signal }))
}
