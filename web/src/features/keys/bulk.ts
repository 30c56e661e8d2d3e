// Actions on many keys: what they look like, and how carefully they are asked about.
import { ArrowRightLeft, CirclePause, CirclePlay, FlaskConical, RotateCcw, StickyNote, Trash2 } from '@lucide/vue'
import type { Component } from 'vue'
import type { BulkAction, BulkChoice } from '@/api/keys'

/** More than so many are deleted only after the name of the group was typed. */
export const TYPED_ABOVE = 20

export const BULK_ICONS: Record<BulkAction, Component> = {
  test: FlaskConical,
  restore: RotateCcw,
  enable: CirclePlay,
  disable: CirclePause,
  move: ArrowRightLeft,
  set_notes: StickyNote,
  delete: Trash2,
}

/** What is to be done, and with which keys. */
export interface BulkPlan {
  action: BulkAction
  choice: BulkChoice
}
