// How the state of a key looks, and why it is so, in words.
import { CircleCheck, CirclePause, CircleX, Hourglass, LockKeyhole } from '@lucide/vue'
import type { Component } from 'vue'
import type { ComposerTranslation } from 'vue-i18n'
import type { Key, KeyFailure, KeyState } from '@/api/keys'
import type { Formatter } from '@/composables/useFormat'
import type { Tone } from '@/ui/UiBadge.vue'

export const KEY_LOOKS: Record<KeyState, { tone: Tone; icon: Component }> = {
  active: { tone: 'good', icon: CircleCheck },
  resting: { tone: 'rest', icon: Hourglass },
  invalid: { tone: 'critical', icon: CircleX },
  disabled: { tone: 'neutral', icon: CirclePause },
  unreadable: { tone: 'warning', icon: LockKeyhole },
}

/** When the state began or ends, short: "for 42 s", "3 hr. ago". Empty where there is nothing to tell. */
export function stateTime(key: Key, t: ComposerTranslation, format: Pick<Formatter, 'duration' | 'relative'>, now: number): string {
  if (key.state === 'resting' && key.resting_until) return t('keys.still', { time: format.duration(restOf(key.resting_until, now)) })
  if ((key.state === 'invalid' || key.state === 'disabled') && key.out_since) return format.relative(key.out_since, now)
  return ''
}

/** What an upstream said: "401 · Incorrect API key provided". */
export function failureText(failure: KeyFailure | null, t: ComposerTranslation): string {
  if (!failure) return ''
  return failure.status_code === null ? failure.message : t('keys.failure', { status: failure.status_code, message: failure.message })
}

/** Why a key is as it is, as far as anybody knows. */
export function reasonText(key: Key, t: ComposerTranslation): string {
  if (key.state === 'unreadable') return t('keys.reasons.unreadable')
  if (key.state === 'disabled') return t('keys.reasons.disabled')
  if (key.state === 'invalid') return failureText(key.out_reason, t) || t('keys.reasons.unknown')
  return failureText(key.last_failure, t)
}

/** What can be done with a key in this state, beside testing and deleting it. */
export function canDisable(key: Key): boolean {
  return key.status !== 'disabled'
}

export function canRestore(key: Key): boolean {
  return key.status === 'invalid'
}

/** In whole seconds, and never less than one: over is only what the server says is over. */
function restOf(until: string, now: number): number {
  return Math.max(Math.ceil((Date.parse(until) - now) / 1_000), 1) * 1_000
}
