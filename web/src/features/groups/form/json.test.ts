// Where JSON goes wrong.
import { describe, expect, it } from 'vitest'
import { jsonProblem } from './json'

const at = (text: string) => {
  const problem = jsonProblem(text)
  return problem && `${problem.fault} ${problem.line}:${problem.column}`
}

describe('jsonProblem', () => {
  it('finds none in JSON of any kind', () => {
    for (const text of ['{}', ' {"a": [1, -2.5e+3, true, false, null, "\\u00e4\\n"], "b": {"c": {}}} \n', '[]', '0', '"x"']) expect(at(text), text).toBeNull()
  })

  it('agrees with the browser about what is JSON', () => {
    const texts = ['{', '{"a"}', '{"a":}', '{"a":1,}', '[1,]', '[1 2]', '{a:1}', "{'a':1}", '01', '1.', '.5', '+1', '"a', '"\t"', '"\\x"', 'tru', 'nulls', '{} x', '', '{"a":1 "b":2}', '-', '1e', '[,1]']
    for (const text of texts) {
      expect(() => JSON.parse(text) as unknown, text).toThrow()
      expect(jsonProblem(text), text).not.toBeNull()
    }
  })

  it('says in which line and column it stands, and what is wrong', () => {
    expect(at('{\n  "a": 1\n  "b": 2\n}')).toBe('comma 3:3')
    expect(at('{\n  "a": 1,\n}')).toBe('trailing 3:1')
    expect(at('{"a": 1')).toBe('end 1:8')
    expect(at('{"a" 1}')).toBe('colon 1:6')
    expect(at('{"a": 01}')).toBe('number 1:7')
    expect(at('{a: 1}')).toBe('key 1:2')
    expect(at('{"a": yes}')).toBe('value 1:7')
    expect(at('{} {}')).toBe('rest 1:4')
    expect(at('{"a": "\\q"}')).toBe('escape 1:8')
  })

  it('refuses a key that is there twice, which browsers do not', () => {
    expect(jsonProblem('{"a": 1,\n "a": 2}')).toEqual({ fault: 'duplicate', line: 2, column: 2, found: 'a' })
    expect(at('{"a": {"a": 1}}')).toBeNull()
  })

  it('does not hang in what is too deep', () => {
    expect(jsonProblem('['.repeat(5_000))?.fault).toBe('deep')
  })
})
