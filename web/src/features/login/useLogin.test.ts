// What a try to sign in leads to.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { effectScope } from 'vue'
import { ApiError } from '@/api/client'
import { countdown, useLogin } from './useLogin'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function login(answer: () => Promise<void>) {
  const open = vi.fn(answer)
  const scope = effectScope()
  const made = scope.run(() => useLogin(open))
  if (!made) throw new Error('no scope')
  return { ...made, open, scope }
}

test('the right key signs in, without the blanks that came with it', async () => {
  const { signIn, open, problem, scope } = login(() => Promise.resolve())
  expect(await signIn('  sk-key\n', true)).toBe(true)
  expect(open).toHaveBeenCalledWith('sk-key', true)
  expect(problem.value).toBeNull()
  scope.stop()
})

test('no key is not sent', async () => {
  const { signIn, open, problem, scope } = login(() => Promise.resolve())
  expect(await signIn('  ', false)).toBe(false)
  expect(open).not.toHaveBeenCalled()
  expect(problem.value).toBe('empty')
  scope.stop()
})

test('a wrong key and a server that is away are told apart', async () => {
  const answers = [new ApiError(401, 'UNAUTHORIZED', ''), new ApiError(0, 'UNREACHABLE', ''), new ApiError(500, 'INTERNAL_SERVER_ERROR', '')]
  const { signIn, problem, scope } = login(() => Promise.reject(answers.shift()))
  const told = []
  for (let n = 0; n < 3; n++) {
    await signIn('sk', false)
    told.push(problem.value)
  }
  expect(told).toEqual(['wrong', 'unreachable', 'other'])
  scope.stop()
})

test('a lock is counted down, nothing is sent meanwhile, and its end is told', async () => {
  const { signIn, open, problem, isLocked, lockedSeconds, scope } = login(() => Promise.reject(new ApiError(429, 'TOO_MANY_FAILED_LOGINS', '', 3)))
  await signIn('sk', false)
  expect([problem.value, lockedSeconds.value]).toEqual(['locked', 3])
  vi.advanceTimersByTime(1000)
  expect(lockedSeconds.value).toBe(2)
  await signIn('sk', false)
  expect(open).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(2000)
  expect([problem.value, isLocked.value]).toEqual(['unlocked', false])
  scope.stop()
})

test('a countdown reads like a clock', () => expect([countdown(7), countdown(65), countdown(900)]).toEqual(['0:07', '1:05', '15:00']))
