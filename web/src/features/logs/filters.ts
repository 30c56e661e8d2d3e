// The filter of the request log as it stands in the address: the same names as in the API, checked. Pure.
import type { LocationQuery } from 'vue-router'
import { VERDICTS, type LogField, type LogFilter } from '@/api/logs'

export type FilterName = keyof LogFilter

export interface FilterField {
  name: FilterName
  /** How a value is chosen: from all there are, from those that occur, or typed. */
  kind: 'choice' | 'values' | 'text' | 'group' | 'key'
  /** What is typed and nothing else. */
  choices?: readonly string[]
  /** Under which name values are asked of the server, with how often each occurs. */
  valuesOf?: LogField
}

/** In the order of the list to choose from. */
export const FILTER_FIELDS: readonly FilterField[] = [
  { name: 'group_id', kind: 'group' },
  { name: 'model', kind: 'values', valuesOf: 'model' },
  { name: 'is_success', kind: 'choice', choices: ['true', 'false'] },
  { name: 'status_code', kind: 'values', valuesOf: 'status_code' },
  { name: 'verdict', kind: 'choice', choices: VERDICTS },
  { name: 'key_hash', kind: 'key' },
  { name: 'client_key', kind: 'values', valuesOf: 'client_key' },
  { name: 'source_ip', kind: 'values', valuesOf: 'source_ip' },
  { name: 'upstream_addr', kind: 'values', valuesOf: 'upstream_addr' },
  { name: 'error_contains', kind: 'text' },
  { name: 'request_id', kind: 'text' },
  { name: 'request_type', kind: 'choice', choices: ['final', 'retry'] },
  { name: 'group_name', kind: 'values', valuesOf: 'group_name' },
  { name: 'parent_group_name', kind: 'values', valuesOf: 'parent_group_name' },
]

/** The API takes no longer ones. */
export const TEXT_CHARACTERS_MAX = 500

export type FilterProblem = 'status' | 'choice' | 'too_long' | 'id'

export interface ReadFilter {
  /** What can be asked. */
  filter: LogFilter
  /** What stands in the address and cannot be asked, and why: it is said, not passed over. */
  problems: { name: FilterName; value: string; problem: FilterProblem }[]
}

export function fieldOf(name: string): FilterField | undefined {
  return FILTER_FIELDS.find((field) => field.name === name)
}

/** `null`: the value can be asked. */
export function problemOf(name: FilterName, value: string): FilterProblem | null {
  const field = fieldOf(name)
  if (name === 'status_code') return /^[1-9]\d{2}$/.test(value) ? null : 'status'
  if (name === 'group_id') return /^[1-9]\d*$/.test(value) ? null : 'id'
  if (field?.choices && !field.choices.includes(value)) return 'choice'
  return [...value].length > TEXT_CHARACTERS_MAX ? 'too_long' : null
}

export function readFilter(query: LocationQuery): ReadFilter {
  const read: ReadFilter = { filter: {}, problems: [] }
  for (const { name } of FILTER_FIELDS) {
    const value = query[name]
    if (typeof value !== 'string' || value.trim() === '') continue
    const trimmed = value.trim()
    const problem = problemOf(name, trimmed)
    if (problem) read.problems.push({ name, value: trimmed, problem })
    else read.filter[name] = trimmed
  }
  return read
}

/** The query of an address without any filter. */
export function withoutFilters(query: LocationQuery): LocationQuery {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !fieldOf(name)))
}

const ID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i

/** What somebody means who types or pastes a text: the id of a request, or a part of an error. */
export function meantBy(text: string): { name: 'request_id' | 'error_contains'; value: string } | null {
  const trimmed = text.trim()
  if (trimmed === '') return null
  return { name: ID.test(trimmed) ? 'request_id' : 'error_contains', value: trimmed }
}

/** Whether attempts that others followed are what is wanted, so that there is nothing to fold them under. */
export function wantsAttempts(filter: LogFilter): boolean {
  return filter.request_type === 'retry'
}
