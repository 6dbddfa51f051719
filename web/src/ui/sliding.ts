/** Sliders under a finger: browsers move them as soon as they are touched, even where the finger only scrolls. */

import { SIDEWAYS } from './hand'

interface Touched {
  slider: HTMLInputElement
  x: number
  /** What the slider was, and what the browser would make of it. */
  before: string
  wanted: string
}

/** Holds every slider that is touched until the finger moves sideways or goes; returns what stops it. */
export function holdSliders(): () => void {
  let touched: Touched | null = null
  const handlers = {
    pointerdown({ target, pointerType, clientX }: PointerEvent): void {
      if (pointerType !== 'touch' || !(target as Element).matches?.('input[type=range]')) return
      const slider = target as HTMLInputElement
      touched = { slider, x: clientX, before: slider.value, wanted: slider.value }
    },
    input(event: Event): void {
      if (event.target !== touched?.slider) return
      event.stopImmediatePropagation()
      touched!.wanted = touched!.slider.value
      touched!.slider.value = touched!.before
    },
    pointermove({ clientX }: PointerEvent): void {
      if (touched && Math.abs(clientX - touched.x) >= SIDEWAYS) touched = null
    },
    /** A tap: the slider goes where it was touched. */
    pointerup(): void {
      if (!touched) return
      const { slider, wanted } = touched
      touched = null
      slider.value = wanted
      for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind, { bubbles: true }))
    },
    pointercancel(): void {
      touched = null
    },
  }
  const all = Object.entries(handlers) as [string, EventListener][]
  for (const [kind, handler] of all) addEventListener(kind, handler, true)
  return () => all.forEach(([kind, handler]) => removeEventListener(kind, handler, true))
}
