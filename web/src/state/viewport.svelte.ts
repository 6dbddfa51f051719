/** Where the plane of the map lies on the screen. */

import { fit, toPlane, toScreen, visible, type Box, type Insets, type Point, type View } from '../core/view'

/** Moves what the map shows; the map itself puts it here. */
export interface Camera {
  show(view: View, milliseconds?: number): void
  zoom(factor: number): void
}

/** css pixels between the panels below which the map stays as it is. */
const LEAST_ROOM = 160
/** Share of the images that a panel may cover before the map makes room for it. */
const COVERED = 0.05
/** css pixels to the panels within which a place is not in sight. */
const EDGE = 24

export class Viewport {
  view = $state.raw<View>({ scale: 1, x: 0, y: 0, width: 1, height: 1 })
  insets = $state.raw<Insets>({ left: 0, top: 0, right: 0, bottom: 0 })
  camera: Camera | null = null
  /** Whether the map shows everything, as `fit` left it. */
  fitted = true

  /** Whether the person has touched the map in the mode that is open: it then stays where it is. */
  touched = false

  constructor(
    private readonly home: () => Box,
    /** Share of the images that lie outside a box. */
    private readonly outside: (box: Box) => number,
  ) {}

  toScreen = (u: number, v: number): Point => toScreen(this.view, u, v)
  toPlane = (x: number, y: number): Point => toPlane(this.view, x, y)

  get visible(): Box {
    return visible(this.view)
  }

  /** The view that shows the whole of the data. */
  whole(width = this.view.width, height = this.view.height): View {
    return fit(this.home(), width, height, this.insets)
  }

  /** Shows the whole of the data again. */
  fit(milliseconds = 350): void {
    this.camera?.show(this.whole(), milliseconds)
    this.fitted = true
  }

  /** Keeps all of the data in sight, unless the person has moved the map. */
  refit(milliseconds = 200): void {
    const { view, insets } = this
    if (this.fitted && view.height - insets.top - insets.bottom > LEAST_ROOM) this.fit(milliseconds)
  }

  /** Makes room for a panel that opens: only if it would cover much, and never under the person's hand. */
  makeRoom(): void {
    const { view, insets } = this
    const [left, top] = this.toPlane(insets.left, insets.top)
    const [right, bottom] = this.toPlane(view.width - insets.right, view.height - insets.bottom)
    const covered = this.outside({ x: [left, right], y: [bottom, top] }) > COVERED
    if (!this.touched && (covered || this.whole().scale > view.scale)) this.refit()
  }

  /** Brings a box into the middle at the scale of the whole, unless the person has moved the map. */
  centre({ x, y }: Box, milliseconds: number): void {
    if (!this.fitted) return
    const view = this.whole()
    const { left, top, right, bottom } = this.insets
    const [u, v] = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2]
    const at = { x: (left + view.width - right) / 2 - u * view.scale, y: (top + view.height - bottom) / 2 + v * view.scale }
    this.camera?.show({ ...view, ...at }, milliseconds)
    this.fitted = true
  }

  /** Moves the map as little as brings a place between the panels. */
  reveal(u: number, v: number, milliseconds = 0): void {
    const { view, insets, fitted } = this
    const [x, y] = this.toScreen(u, v)
    const by = (at: number, low: number, high: number): number => (at < low ? low - at : at > high ? high - at : 0)
    const dx = by(x, insets.left + EDGE, view.width - insets.right - EDGE)
    const dy = by(y, insets.top + EDGE, view.height - insets.bottom - EDGE)
    if (!dx && !dy) return
    this.camera?.show({ ...view, x: view.x + dx, y: view.y + dy }, milliseconds)
    this.fitted = fitted
  }
}
