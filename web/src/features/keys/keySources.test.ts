// Keys are found in whatever people keep them in.
import { describe, expect, test } from 'vitest'
import { SourceError, keysText, kindOf, placeOf, readKeys, reportCsv, type SourceProblem } from './keySources'

const keys = (text: string, kind: Parameters<typeof readKeys>[1] = 'text') => readKeys(text, kind).keys

function problem(run: () => unknown): SourceProblem | undefined {
  try {
    run()
  } catch (error) {
    return (error as SourceError).problem
  }
}

describe('a text', () => {
  test('is divided at blanks, commas and semicolons, and knows its lines', () => {
    expect(readKeys('sk-1, sk-2\r\n\n sk-3;sk-4', 'text')).toEqual({ keys: ['sk-1', 'sk-2', 'sk-3', 'sk-4'], lines: [1, 1, 3, 3] })
    expect(keys('')).toEqual([])
  })

  test('that begins like a list is one, also when it was pasted', () => {
    expect(keys('["sk-1", "sk 2"]')).toEqual(['sk-1', 'sk 2'])
  })

  test('of a broken list is refused, not taken for keys', () => {
    expect(problem(() => keys('["sk-1", '))).toMatchObject({ reason: 'broken_json' })
  })

  test('that is a picture or a program is refused', () => {
    expect(problem(() => keys('MZ\u0000\u0001'))).toEqual({ reason: 'not_text' })
    expect(problem(() => keys('sk-\uFFFD'))).toEqual({ reason: 'not_text' })
  })

  test('may begin with a byte order mark', () => {
    expect(keys('\uFEFFsk-1')).toEqual(['sk-1'])
  })
})

describe('JSON', () => {
  test('is a list of texts, of objects, or an object with a list', () => {
    expect(keys('["a","b"]', 'json')).toEqual(['a', 'b'])
    expect(keys('[{"id":1,"key_value":"a"},{"api_key":"b"}]', 'json')).toEqual(['a', 'b'])
    expect(keys('{"data":[{"key":"a"}]}', 'json')).toEqual(['a'])
  })

  test('is an object a line, as our export writes it', () => {
    expect(readKeys('{"key":"a","notes":"x"}\n\n{"key":"b"}\n', 'json')).toEqual({ keys: ['a', 'b'], lines: [1, 3] })
  })

  test('without a key in it says where', () => {
    expect(problem(() => keys('[{"key":"a"},{"name":"b"}]', 'json'))).toEqual({ reason: 'not_keys', line: 2 })
    expect(problem(() => keys('[1]', 'json'))).toEqual({ reason: 'not_keys', line: 1 })
  })
})

describe('a table', () => {
  test('has its keys in the column of that name', () => {
    expect(readKeys('id,key,notes\r\n1,sk-1,"a, ""b"""\r\n2,"sk,2",\r\n', 'csv')).toEqual({ keys: ['sk-1', 'sk,2'], lines: [2, 3] })
  })

  test('without a head has them in the first column', () => {
    expect(keys('sk-1;mine\nsk-2;yours', 'csv')).toEqual(['sk-1', 'sk-2'])
  })

  test('may break a line inside of quotes', () => {
    expect(readKeys('key,notes\nsk-1,"one\ntwo"\nsk-2,', 'csv')).toEqual({ keys: ['sk-1', 'sk-2'], lines: [2, 4] })
  })
})

test('the kind of a file is told by its name', () => {
  expect(['a.TXT', 'b.csv', 'c.jsonl', 'd.json', 'e'].map(kindOf)).toEqual(['text', 'csv', 'json', 'json', 'text'])
})

test('a key with a comma in it goes to the server in one piece', () => {
  expect(keysText(['sk-1', 'sk-2'])).toBe('sk-1\nsk-2')
  expect(keysText(['sk-1', 'sk,2'])).toBe('["sk-1","sk,2"]')
})

test('a key that was left out is found in its file', () => {
  const sources = [
    { name: '', keys: ['a', 'b'], lines: [1, 2] },
    { name: 'more.txt', keys: ['c'], lines: [7] },
  ]
  expect(placeOf(sources, 2)).toEqual({ name: '', line: 2 })
  expect(placeOf(sources, 3)).toEqual({ name: 'more.txt', line: 7 })
  expect(placeOf(sources, 4)).toBeNull()
})

test('a report opens in a table program without running anything', () => {
  expect(reportCsv(['file', 'line'], [['=1+1', 3], ['a,"b"', 4]])).toBe('file,line\r\n\'=1+1,3\r\n"a,""b""",4')
})
