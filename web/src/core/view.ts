/** Where the plane of the map lies on the screen: v points up, css pixels point down. */

export interface View {
  /** css pixels per unit of the plane. */
  scale: number
  /** Screen position of the plane's origin, in css pixels. */
  x: number
  y: number
  width: number
  height: number
}

export type Point = [number, number]

export interface Box {
  x: Point
  y: Point
}

export interface Insets {
  left: number
  top: number
  right: number
  bottom: number
}

export const toScreen = (view: View, u: number, v: number): Point => [
  view.x + u * view.scale,
  view.y - v * view.scale,
]

export const toPlane = (view: View, x: number, y: number): Point => [
  (x - view.x) / view.scale,
  (view.y - y) / view.scale,
]

/** The part of the plane that is on the screen. */
export function visible(view: View): Box {
  const [left, top] = toPlane(view, 0, 0)
  const [right, bottom] = toPlane(view, view.width, view.height)
  return { x: [left, right], y: [bottom, top] }
}

/** The view that shows the whole box inside the insets. */
export function fit(box: Box, width: number, height: number, insets: Insets): View {
  const w = Math.max(1, width - insets.left - insets.right)
  const h = Math.max(1, height - insets.top - insets.bottom)
  const scale = Math.min(w / span(box.x), h / span(box.y))
  return {
    scale,
    x: insets.left + w / 2 - middle(box.x) * scale,
    y: insets.top + h / 2 + middle(box.y) * scale,
    width,
    height,
  }
}

/** The box with a margin on every side, as a share of its size. */
export function widened({ x, y }: Box, share: number): Box {
  const wider = ([lo, hi]: Point): Point => [lo - share * (hi - lo), hi + share * (hi - lo)]
  return { x: wider(x), y: wider(y) }
}

const span = ([lo, hi]: Point): number => Math.max(hi - lo, 1e-9)
const middle = ([lo, hi]: Point): number => (lo + hi) / 2
