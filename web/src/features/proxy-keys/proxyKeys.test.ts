// What becomes of lists of proxy keys.
import { expect, test } from 'vitest'
import { addProxyKeys, generateProxyKey, isEasilyGuessed, joinProxyKeys, maskProxyKey, parseProxyKeys, proxyKeyLabels } from './proxyKeys'

test('a list is read as the server reads it', () => {
  expect(parseProxyKeys(' sk-a, ,sk b,,')).toEqual(['sk-a', 'sk b'])
  expect(joinProxyKeys(parseProxyKeys('sk-a ,sk-b'))).toBe('sk-a,sk-b')
  expect(parseProxyKeys('')).toEqual([])
})

test('a masked key shows four characters at each end, a short one none', () => {
  expect(maskProxyKey('sk-alice-0123456789f0e')).toBe('sk-a****9f0e')
  expect(maskProxyKey('bob')).toBe('****')
})

test('labels are those of the request log', () => {
  const keys = ['sk-alice-0123456789f0e', 'bob', 'sk-a-other-long-key-9f0e', '0123\u{7}456789abcdef', 'bob', 'carol']
  expect(proxyKeyLabels(keys, '#')).toEqual(['sk-a****9f0e', '#2', 'sk-a****9f0e #3', '0123****cdef', '#2', '#6'])
  expect(proxyKeyLabels(['bob'], 'global #')).toEqual(['global #1'])
})

test('pasted keys are added once, in their order', () => {
  expect(addProxyKeys(['sk-a'], 'sk-b, sk-a\nsk-c  sk-b')).toEqual({ keys: ['sk-a', 'sk-b', 'sk-c'], added: 2, known: 2 })
  expect(addProxyKeys(['sk-a', 'sk-a'], 'sk-b')).toEqual({ keys: ['sk-a', 'sk-a', 'sk-b'], added: 1, known: 0 })
})

test('a generated key is made of fair random bytes only', () => {
  let call = 0
  const key = generateProxyKey((bytes) => bytes.fill(call++ === 0 ? 255 : 61))
  expect(key).toBe(`sk-${'9'.repeat(48)}`)
  expect(call).toBe(2)
})

test('two generated keys differ, and neither is easily guessed', () => {
  const [one, other] = [generateProxyKey(), generateProxyKey()]
  expect(one).toMatch(/^sk-[A-Za-z0-9]{48}$/)
  expect(one).not.toBe(other)
  expect(isEasilyGuessed(one)).toBe(false)
  expect(isEasilyGuessed('sk-secret')).toBe(true)
})
