/** Where the plane of the map lies on the screen. */

import { fit, toPlane, toScreen, visible, type Box, type Insets, type Point, type View } from '../core/view'

/** Moves what the map shows; the map itself puts it here. */
export interface Camera {
  show(view: View, milliseconds?: number): void
  zoom(factor: number): void
}

/** css pixels between the panels below which the map stays as it is. */
const LEAST_ROOM = 160

export class Viewport {
  view = $state.raw<View>({ scale: 1, x: 0, y: 0, width: 1, height: 1 })
  insets = $state.raw<Insets>({ left: 0, top: 0, right: 0, bottom: 0 })
  camera: Camera | null = null
  /** Whether the map shows everything, as `fit` left it. */
  fitted = true

  constructor(private readonly home: () => Box) {}

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

  /** Keeps all of the data in sight when a panel opens or folds, unless the person has moved the map. */
  refit(milliseconds = 200): void {
    const { view, insets } = this
    if (this.fitted && view.height - insets.top - insets.bottom > LEAST_ROOM) this.fit(milliseconds)
  }
}
