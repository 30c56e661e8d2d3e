// Upstreams as one types them: what is wrong with an address, and which share of the requests each gets.
import type { TypedWeight } from '../members/weights'

export interface UpstreamDraft {
  url: string
  weight: TypedWeight
}

/** The most that the server's number can hold. */
export const UPSTREAM_WEIGHT_MAX = 4_294_967_295

export type UrlProblem = 'required' | 'blanks' | 'scheme' | 'host' | 'port' | 'invalid'
export type UrlHint = 'plain' | 'version' | 'again'

/** What is wrong with an address, in a word; `null`: nothing. */
export function urlProblem(typed: string): UrlProblem | null {
  const text = typed.trim()
  if (!text) return 'required'
  if (/\s/.test(text)) return 'blanks'
  if (!/^https?:\/\//.test(text)) return 'scheme'
  const host = /^https?:\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^:/?#]*)(?::([^/?#]*))?/.exec(text)
  if (!host?.[1]) return 'host'
  if (host[2] !== undefined && host[2] !== '' && !(/^\d{1,5}$/.test(host[2]) && Number(host[2]) <= 65_535)) return 'port'
  return URL.canParse(text) ? null : 'invalid'
}

/** What works, but is perhaps not meant. */
export function urlHint(typed: string, channel: string, others: readonly string[]): UrlHint | null {
  if (urlProblem(typed)) return null
  const url = new URL(typed.trim())
  if (others.some((other) => other.trim() === typed.trim())) return 'again'
  // Clients bring the version along: it would stand there twice.
  if (/\/(v1|v1beta)\/?$/.test(url.pathname) && !(channel === 'gemini' && /\/v1\/?$/.test(url.pathname))) return 'version'
  if (url.protocol === 'http:' && !isNear(url.hostname)) return 'plain'
  return null
}

function isNear(host: string): boolean {
  return !host.includes('.') || /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(host) || host.endsWith('.local') || host.endsWith('.internal') || host.startsWith('[')
}

export function isUpstreamWeight(weight: TypedWeight): weight is number {
  return typeof weight === 'number' && weight >= 0 && weight <= UPSTREAM_WEIGHT_MAX
}

/** Of each upstream, 0 to 1; `null` where none serves. */
export function upstreamShares(upstreams: readonly UpstreamDraft[]): (number | null)[] {
  const weights = upstreams.map(({ weight }) => (isUpstreamWeight(weight) ? weight : 0))
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map((weight) => (sum > 0 ? weight / sum : null))
}
