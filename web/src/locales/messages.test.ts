// What becomes of a text with values, signs and forms.
import { expect, test } from 'vitest'
import { createI18n } from 'vue-i18n'
import { compileMessage } from './messages'

const { t } = createI18n({
  legacy: false,
  locale: 'en-US',
  messageCompiler: (message) => compileMessage(message as string),
  messages: {
    'en-US': {
      plain: 'As it stands',
      named: 'From { from } to {to}.',
      signs: "a{'@'}b {'|'} {'{'}x{'}'} 100 % { open",
      plural: 'One key | {count} keys',
      single: '{count} 个密钥',
      three: 'none | one | many ({n})',
      link: 'mail me@example.org',
    },
  },
}).global

test('a plain text stays as it is', () => expect(t('plain')).toBe('As it stands'))

test('values stand where their names were, blanks in the braces or not', () => expect(t('named', { from: 1, to: 'x' })).toBe('From 1 to x.'))

test('quoted signs are themselves, and so is a brace that opens nothing', () => expect(t('signs')).toBe('a@b | {x} 100 % { open'))

test('the form follows the number', () => {
  expect([0, 1, 2].map((n) => t('plural', n))).toEqual(['0 keys', 'One key', '2 keys'])
  expect([0, 1, 7].map((n) => t('three', n))).toEqual(['none', 'one', 'many (7)'])
})

test('a number can be written otherwise than it is counted', () => expect(t('plural', { count: '1,200' }, 1200)).toBe('1,200 keys'))

test('a language with one form has one', () => expect([0, 1, 5].map((n) => t('single', n))).toEqual(['0 个密钥', '1 个密钥', '5 个密钥']))

test('an address is no link to another text', () => expect(t('link')).toBe('mail me@example.org'))
