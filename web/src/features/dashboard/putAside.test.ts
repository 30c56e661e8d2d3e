// Security warnings that were put aside.
import { beforeEach, expect, it } from 'vitest'
import { ref } from 'vue'
import type { SecurityWarning } from '@/api/dashboard'
import { usePutAside } from './putAside'

const SHORT: SecurityWarning = { type: 'AUTH_KEY', severity: 'high', message: 'AUTH_KEY is too short', suggestion: 'Take 16 characters at least' }
const CLEAR: SecurityWarning = { type: 'ENCRYPTION_KEY', severity: 'high', message: 'ENCRYPTION_KEY is not set', suggestion: 'Set it' }

beforeEach(() => localStorage.clear())

it('stay aside after a reload', () => {
  usePutAside(ref([SHORT])).putAside()
  const again = usePutAside(ref([SHORT]))
  expect(again.shown.value).toEqual([])
  expect(again.aside.value).toEqual([SHORT])
})

it('do not hide new ones', () => {
  usePutAside(ref([SHORT])).putAside()
  expect(usePutAside(ref([SHORT, CLEAR])).shown.value).toEqual([CLEAR])
})

it('can be brought back', () => {
  const warnings = usePutAside(ref([SHORT, CLEAR]))
  warnings.putAside()
  warnings.bringBack()
  expect(warnings.shown.value).toEqual([SHORT, CLEAR])
  expect(usePutAside(ref([SHORT])).shown.value).toEqual([SHORT])
})

it('that were mended meanwhile are shown when they come back', () => {
  const list = ref([SHORT, CLEAR])
  const warnings = usePutAside(list)
  warnings.putAside()
  list.value = [CLEAR]
  warnings.putAside()
  list.value = [SHORT, CLEAR]
  expect(warnings.shown.value).toEqual([SHORT])
})

it('odd things in the storage do no harm', () => {
  localStorage.setItem('gpt-load.warnings-put-aside', '{"a":1}')
  expect(usePutAside(ref([SHORT])).shown.value).toEqual([SHORT])
  localStorage.setItem('gpt-load.warnings-put-aside', 'nonsense')
  expect(usePutAside(ref([SHORT])).shown.value).toEqual([SHORT])
})
