// The parts of the console, in the order in which they are shown and jumped to.
import { ChartNoAxesCombined, Cog, FlaskConical, Layers, ListTree, ScrollText, Server } from '@lucide/vue'
import type { Component } from 'vue'

export interface Section {
  name: 'dashboard' | 'groups' | 'logs' | 'playground' | 'tasks' | 'settings' | 'system'
  path: string
  icon: Component
  /** Two keys, one after the other. */
  keys: string
}

export const SECTIONS: readonly Section[] = [
  { name: 'dashboard', path: '/', icon: ChartNoAxesCombined, keys: 'g d' },
  { name: 'groups', path: '/groups', icon: Layers, keys: 'g g' },
  { name: 'logs', path: '/logs', icon: ScrollText, keys: 'g l' },
  { name: 'playground', path: '/playground', icon: FlaskConical, keys: 'g p' },
  { name: 'tasks', path: '/tasks', icon: ListTree, keys: 'g t' },
  { name: 'settings', path: '/settings', icon: Cog, keys: 'g s' },
  { name: 'system', path: '/system', icon: Server, keys: 'g y' },
]
