// Which keys do something, and when they rest.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { handleKey, useShortcuts, type Shortcut } from './useShortcuts'

let scope: EffectScope | undefined

function having(...shortcuts: (Pick<Shortcut, 'keys' | 'run'> & Partial<Shortcut>)[]): void {
  scope = effectScope()
  scope.run(() => useShortcuts(shortcuts.map((shortcut) => ({ text: '', section: '', ...shortcut }))))
}

function press(key: string, options: KeyboardEventInit = {}, target: EventTarget = document.body): KeyboardEvent {
  const event = new KeyboardEvent('keydown', { key, cancelable: true, ...options })
  Object.defineProperty(event, 'target', { value: target })
  handleKey(event, press.now)
  return event
}
press.now = 0

afterEach(() => {
  scope?.stop()
  document.body.replaceChildren()
})

describe('useShortcuts', () => {
  it('runs what a key stands for, and keeps the key from the browser', () => {
    const run = vi.fn()
    having({ keys: 'j', run })
    expect(press('j').defaultPrevented).toBe(true)
    expect(run).toHaveBeenCalledOnce()
    expect(press('k').defaultPrevented).toBe(false)
  })

  it('tells a capital from a small letter, and knows signs that need Shift', () => {
    const small = vi.fn()
    const capital = vi.fn()
    const question = vi.fn()
    having({ keys: 'j', run: small }, { keys: 'Shift+J', run: capital }, { keys: '?', run: question })
    press('J', { shiftKey: true })
    press('?', { shiftKey: true })
    expect([small, capital, question].map((run) => run.mock.calls.length)).toEqual([0, 1, 1])
  })

  it('waits for the second key of a pair, but not for long', () => {
    const run = vi.fn()
    having({ keys: 'g d', run })
    press.now = 0
    press('g')
    press('d')
    expect(run).toHaveBeenCalledTimes(1)
    press('g')
    press.now = 1_201
    press('d')
    expect(run).toHaveBeenCalledTimes(1)
  })

  it('rests while somebody types, unless it is meant to work everywhere', () => {
    const plain = vi.fn()
    const everywhere = vi.fn()
    having({ keys: 'j', run: plain }, { keys: 'Mod+K', run: everywhere, isEverywhere: true })
    const field = document.createElement('input')
    press('j', {}, field)
    press('k', { ctrlKey: true, metaKey: true }, field)
    expect(plain).not.toHaveBeenCalled()
    expect(everywhere).toHaveBeenCalledOnce()
    const tick = document.createElement('input')
    tick.type = 'checkbox'
    press('j', {}, tick)
    expect(plain).toHaveBeenCalledOnce()
  })

  it('rests while a dialog is open, unless the dialog lets shortcuts through', () => {
    const run = vi.fn()
    having({ keys: 'j', run })
    const dialog = document.createElement('div')
    dialog.setAttribute('role', 'dialog')
    dialog.dataset.state = 'open'
    document.body.append(dialog)
    press('j')
    expect(run).not.toHaveBeenCalled()
    dialog.dataset.shortcuts = ''
    press('j')
    expect(run).toHaveBeenCalledOnce()
  })

  it('leaves with the component that brought it; of two the later one counts', () => {
    const page = vi.fn()
    having({ keys: 'j', run: page })
    const drawer = vi.fn()
    const inner = effectScope()
    inner.run(() => useShortcuts([{ keys: 'j', text: '', section: '', run: drawer }]))
    press('j')
    inner.stop()
    press('j')
    expect([page, drawer].map((run) => run.mock.calls.length)).toEqual([1, 1])
  })
})
