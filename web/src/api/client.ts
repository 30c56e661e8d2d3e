// The one way to the server: typed by its OpenAPI document, in the language shown, with errors that can be told to a person.
import createClient from 'openapi-fetch'
import { reportReached, reportUnreachable } from '@/composables/useConnection'
import { currentLanguage } from '@/locales'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

/** What the server said no with, or that it did not answer at all (`status` 0, `code` `UNREACHABLE`). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** For programs, as docs/API.md lists them. */
    readonly code: string,
    /** For people, in the language that was asked for; empty where nobody answered. */
    message: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message)
    this.name = 'ApiError'
  }

  get isUnreachable(): boolean {
    return this.status === 0
  }
}

/** Called when the session is over; the router leads to the log-in from there. */
let onSignedOut: () => void = () => {}

export function whenSignedOut(call: () => void): void {
  onSignedOut = call
}

/** Proves to the server that a page of ours asks: other sites cannot send it without being asked first. */
const CONSOLE_HEADER = { 'X-GPT-Load-Console': '1' }

/** Headers of every request of ours; for streams and uploads that do not go through `server`. */
export function requestHeaders(): Record<string, string> {
  return { ...CONSOLE_HEADER, 'Accept-Language': currentLanguage() }
}

/** Statuses of a proxy before us that say that we are not there; ours are 503 with an envelope. */
const NOBODY_BEHIND_STATUSES = [502, 504]

async function watchedFetch(request: Request): Promise<Response> {
  let response: Response
  try {
    response = await fetch(request)
  } catch (error) {
    if (request.signal.aborted) throw error
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
  if (NOBODY_BEHIND_STATUSES.includes(response.status)) {
    reportUnreachable()
    throw new ApiError(0, 'UNREACHABLE', '')
  }
  reportReached()
  return response
}

export const server = createClient<paths>({ baseUrl: location.origin, fetch: watchedFetch, credentials: 'same-origin' })

server.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(requestHeaders())) request.headers.set(name, value)
    return request
  },
})

interface Outcome {
  data?: unknown
  error?: unknown
  response: Response
}

type DataOf<T> = T extends { data: infer Body } ? (Body extends { data: infer Data } ? Data : undefined) : never

/**
 * The `data` of an answer's envelope.
 *
 * @throws {ApiError} where the server refused or was not there.
 */
export async function unwrap<T extends Outcome>(answering: Promise<T>): Promise<NonNullable<DataOf<T>>> {
  const { data, error, response } = await answering
  if (!response.ok || error !== undefined) throw await refusalOf(response, error)
  return (data as { data?: unknown } | undefined)?.data as NonNullable<DataOf<T>>
}

/** What a response that is not `ok` says; a 401 ends the session. */
export async function refusalOf(response: Response, body?: unknown): Promise<ApiError> {
  const told = (body ?? (await response.json().catch(() => null))) as { code?: unknown; message?: unknown } | null
  if (response.status === 401) onSignedOut()
  const seconds = Number(response.headers.get('Retry-After') ?? Number.NaN)
  return new ApiError(
    response.status,
    typeof told?.code === 'string' ? told.code : `HTTP_${response.status}`,
    typeof told?.message === 'string' ? told.message : '',
    Number.isFinite(seconds) ? seconds : null,
  )
}
