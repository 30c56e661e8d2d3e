// What the palette offers, and in which order it fits what was typed.
import type { Component } from 'vue'
import type { RouteLocationRaw } from 'vue-router'

export const SECTIONS_OF_ENTRIES = ['recent', 'places', 'groups', 'keys', 'requests', 'settings', 'actions'] as const
export type EntrySection = (typeof SECTIONS_OF_ENTRIES)[number]

export interface Entry {
  /** The same thing has the same one, whether recent or found. */
  id: string
  section: EntrySection
  text: string
  /** Beside it: what it belongs to. */
  detail?: string
  /** Found by these too. */
  otherWords?: string
  icon: Component
  /** Of its shortcut. */
  keys?: string
  isMono?: boolean
  to?: RouteLocationRaw
  run?: () => void
  /** The palette stays, and asks for more. */
  isStaying?: boolean
}

/** How well an entry fits; higher is better, 0 is not at all. Every word must be in it. */
export function fitOf(entry: Pick<Entry, 'text' | 'detail' | 'otherWords'>, query: string): number {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const text = entry.text.toLowerCase()
  const more = `${entry.detail ?? ''} ${entry.otherWords ?? ''}`.toLowerCase()
  let fit = 1
  for (const word of words) {
    if (text.startsWith(word)) fit += 4
    else if (text.includes(` ${word}`)) fit += 3
    else if (text.includes(word)) fit += 2
    else if (more.includes(word)) fit += 1
    else return 0
  }
  return fit
}

/** Those that fit, the best first; equal ones stay in their order. */
export function fitting(entries: readonly Entry[], query: string, countMax: number): Entry[] {
  return entries
    .map((entry) => ({ entry, fit: fitOf(entry, query) }))
    .filter(({ fit }) => fit > 0)
    .sort((a, b) => b.fit - a.fit)
    .slice(0, countMax)
    .map(({ entry }) => entry)
}

/** One below the other as they are shown: by section, that with the best entry first. */
export function inSections(entries: readonly Entry[], query = ''): { section: EntrySection; entries: Entry[] }[] {
  const parts = SECTIONS_OF_ENTRIES.map((section) => ({ section, entries: entries.filter((entry) => entry.section === section) })).filter((part) => part.entries.length > 0)
  if (query.trim() === '') return parts
  const best = new Map(parts.map((part) => [part.section, Math.max(...part.entries.map((entry) => fitOf(entry, query)))]))
  return parts.sort((a, b) => (best.get(b.section) ?? 0) - (best.get(a.section) ?? 0))
}

const RECENT_STORED_AS = 'gpt-load.palette.recent'
const RECENT_MAX = 5

/** Names of what was opened last, the newest first. Keys and requests are not remembered. */
export function readRecent(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(RECENT_STORED_AS) ?? '[]')
    return Array.isArray(stored) ? stored.filter((id) => typeof id === 'string').slice(0, RECENT_MAX) : []
  } catch {
    return []
  }
}

export function rememberRecent(entry: Pick<Entry, 'id' | 'section'>): void {
  if (entry.section === 'keys' || entry.section === 'requests') return
  try {
    const ids = [entry.id, ...readRecent().filter((id) => id !== entry.id)].slice(0, RECENT_MAX)
    localStorage.setItem(RECENT_STORED_AS, JSON.stringify(ids))
  } catch {
    // No storage: nothing is recent.
  }
}
