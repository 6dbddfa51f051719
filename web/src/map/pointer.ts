/** Panning, zooming and pointing: what the hand does on the map. */

import { select } from 'd3-selection'
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior } from 'd3-zoom'
import { easeCubicInOut } from 'd3-ease'
import { fit, type View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'

const DEEPEST = 2 ** 14
const LONG_PRESS = 550
const DOUBLE_CLICK = 500

const calm = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches

/** Connects d3's zoom to the explorer's view; returns what lets go of it. */
export function connectZoom(element: HTMLElement, explorer: Explorer): () => void {
  const behaviour: ZoomBehavior<HTMLElement, unknown> = zoom<HTMLElement, unknown>()
    .filter((event: Event) => pans(event, explorer))
    .clickDistance(4)
    .duration(calm() ? 0 : 250)
    .extent(() => [[0, 0], [explorer.viewport.view.width, explorer.viewport.view.height]])
    .on('zoom', ({ transform, sourceEvent }: D3ZoomEvent<HTMLElement, unknown>) => {
      if (sourceEvent) explorer.viewport.fitted = false
      const { width, height } = explorer.viewport.view
      explorer.viewport.view = { scale: transform.k, x: transform.x, y: transform.y, width, height }
    })
  const selection = select<HTMLElement, unknown>(element).call(behaviour)
  const stop = camera(element, explorer, behaviour)
  return () => {
    stop()
    selection.on('.zoom', null)
    explorer.viewport.camera = null
  }
}

/** Whether the event moves the map: not while a tool has the pointer, nor one finger alone. */
function pans(event: Event, explorer: Explorer): boolean {
  if (event.type === 'wheel' || event.type === 'dblclick') return true
  if ('touches' in event) return (event as TouchEvent).touches.length > 1
  return (event as MouseEvent).button === 0 && !explorer.surface.held && !(event as MouseEvent).altKey
}

function camera(
  element: HTMLElement,
  explorer: Explorer,
  behaviour: ZoomBehavior<HTMLElement, unknown>,
): () => void {
  const selection = select<HTMLElement, unknown>(element)
  let frame = 0
  const put = (view: View): void => {
    const { width, height } = view
    explorer.viewport.view = { ...explorer.viewport.view, width, height }
    const transform = zoomIdentity.translate(view.x, view.y).scale(view.scale)
    selection.call(behaviour.transform, transform)
  }
  const show = (view: View, milliseconds = 0): void => {
    cancelAnimationFrame(frame)
    if (milliseconds === 0 || calm()) return put(view)
    const from = explorer.viewport.view
    const start = performance.now()
    const step = (now: number): void => {
      const share = Math.min((now - start) / milliseconds, 1)
      put(between(from, view, easeCubicInOut(share)))
      if (share < 1) frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
  }
  explorer.viewport.camera = {
    show: (view, milliseconds) => {
      explorer.viewport.fitted = false
      const fitted = fit(explorer.planes.home, view.width, view.height, explorer.viewport.insets).scale
      behaviour.scaleExtent([fitted / 8, fitted * DEEPEST])
      show(view, milliseconds)
    },
    zoom: (factor) => {
      explorer.viewport.fitted = false
      const { view, insets } = explorer.viewport
      const x = (insets.left + view.width - insets.right) / 2
      const y = (insets.top + view.height - insets.bottom) / 2
      show(zoomed(view, factor, x, y), 180)
    },
  }
  return () => cancelAnimationFrame(frame)
}

/** The view scaled about a place on the screen. */
const zoomed = (view: View, factor: number, x: number, y: number): View => ({
  ...view,
  scale: view.scale * factor,
  x: x - (x - view.x) * factor,
  y: y - (y - view.y) * factor,
})

/** A view on the way: the scale geometrically, the middle of the screen along a line. */
function between(a: View, b: View, share: number): View {
  const scale = a.scale * (b.scale / a.scale) ** share
  const middle = (view: View): [number, number] => [
    (view.width / 2 - view.x) / view.scale,
    (view.height / 2 - view.y) / view.scale,
  ]
  const [from, to] = [middle(a), middle(b)]
  const along = Math.abs(b.scale - a.scale) < 1e-9 ? share : (1 / a.scale - 1 / scale) / (1 / a.scale - 1 / b.scale)
  const x = from[0] + (to[0] - from[0]) * along
  const y = from[1] + (to[1] - from[1]) * along
  return { ...b, scale, x: b.width / 2 - x * scale, y: b.height / 2 - y * scale }
}

export interface Menu {
  x: number
  y: number
}

/** Looking, tools, clicks and the long press; the pointer's last place is used once a frame. */
export function connectPointer(
  element: HTMLElement,
  explorer: Explorer,
  menu: (at: Menu) => void,
): () => void {
  const listening = new AbortController()
  const { signal } = listening
  let frame = 0
  let last: PointerEvent | null = null
  let pressed: { x: number; y: number; time: number; still: boolean } | null = null
  let press = 0
  let clicked = { x: 0, y: 0, time: -Infinity }
  const fingers = new Set<number>()

  const at = (event: MouseEvent): [number, number] => {
    const box = element.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }
  const plane = (event: MouseEvent): [number, number] => explorer.viewport.toPlane(...at(event))

  const look = (): void => {
    frame = 0
    if (!last || fingers.size > 1) return
    explorer.probe.look(...plane(last), last.pointerType === 'touch' ? 'touch' : 'pointer')
  }

  const down = (event: PointerEvent): void => {
    if (event.pointerType === 'touch') fingers.add(event.pointerId)
    clearTimeout(press)
    if (event.button !== 0) return
    const [x, y] = at(event)
    pressed = { x, y, time: event.timeStamp, still: true }
    explorer.viewport.touched = explorer.mode !== 'explore'
    explorer.surface.held = explorer.surface.tool?.down(plane(event), event) ?? false
    if (explorer.surface.held) return element.setPointerCapture(event.pointerId)
    if (event.pointerType !== 'touch') return
    press = window.setTimeout(() => menu({ x, y }), LONG_PRESS)
    move(event)
  }
  const move = (event: PointerEvent): void => {
    explorer.surface.tool?.move(plane(event), event)
    const [x, y] = at(event)
    if (pressed && Math.hypot(x - pressed.x, y - pressed.y) > 5) {
      pressed.still = false // also if it comes back, as a lasso does
      clearTimeout(press)
    }
    if (Math.hypot(x - clicked.x, y - clicked.y) > 6) clicked.time = -Infinity
    last = event
    frame ||= requestAnimationFrame(look)
  }
  const up = (event: PointerEvent): void => {
    fingers.delete(event.pointerId)
    clearTimeout(press)
    explorer.surface.tool?.up(plane(event), event)
    explorer.surface.held = false
    const [x, y] = at(event)
    const quick = pressed && event.timeStamp - pressed.time < LONG_PRESS
    const twice =
      event.timeStamp - clicked.time < DOUBLE_CLICK && Math.hypot(x - clicked.x, y - clicked.y) < 5
    if (pressed?.still && quick && !twice && event.button === 0 && fingers.size === 0) {
      clicked = { x, y, time: event.timeStamp }
      click(event)
    }
    pressed = null
  }
  const click = (event: PointerEvent): void => {
    const [u, v] = plane(event)
    const hit = explorer.hit(u, v, event.pointerType === 'touch' ? 16 : 7)
    if (explorer.surface.tapped([u, v], hit)) return
    void explorer.pinAt(u, v, hit)
  }
  const leave = (event: PointerEvent): void => {
    fingers.delete(event.pointerId)
    clearTimeout(press)
    clicked.time = -Infinity
    if (event.pointerType === 'mouse') explorer.probe.lookAway()
  }
  const context = (event: MouseEvent): void => {
    event.preventDefault()
    const [x, y] = at(event)
    explorer.probe.look(...plane(event), 'pointer')
    menu({ x, y })
  }

  element.addEventListener('pointerdown', down, { signal })
  element.addEventListener('pointermove', move, { signal })
  element.addEventListener('pointerup', up, { signal })
  element.addEventListener('pointercancel', leave, { signal })
  element.addEventListener('pointerleave', leave, { signal })
  element.addEventListener('contextmenu', context, { signal })
  element.addEventListener('dblclick', () => explorer.pins.takeBack(), { signal, capture: true })
  return () => {
    listening.abort()
    cancelAnimationFrame(frame)
    clearTimeout(press)
  }
}
