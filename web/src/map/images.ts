/** Real images in place of their points, once the map has been zoomed in. */

import { thinned } from '../core/thinning'
import type { View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'

/** How far the map is zoomed in when images begin to show, and when they are solid. */
const FADE = [1.8, 2.6]
/** css pixels: the least side of a cell, which has one image, and the largest image. */
const [CELL, LARGEST] = [44, 40]

export class Images {
  private key: unknown[] = []
  private chosen: number[] = []

  constructor(private readonly explorer: Explorer) {}

  draw(context: CanvasRenderingContext2D, view: View): void {
    const { networks, viewport, planes, points, classes } = this.explorer
    const { originals } = networks
    const zoom = view.scale / viewport.whole().scale
    const strength = Math.min((zoom - FADE[0]) / (FADE[1] - FADE[0]), 1)
    if (!originals || strength <= 0) return
    const cell = 2 ** Math.ceil(Math.log2(CELL / view.scale))
    const size = Math.min(LARGEST, 0.6 * cell * view.scale)
    const { positions } = planes.plane
    context.globalAlpha = strength
    context.imageSmoothingQuality = 'high'
    for (const index of this.of(positions, cell)) {
      const [x, y] = viewport.toScreen(positions[2 * index], positions[2 * index + 1])
      if (x < -size || y < -size || x > view.width + size || y > view.height + size) continue
      context.fillStyle = points.labels ? classes.colours[points.labels[index]] : '#c8c8c8'
      context.beginPath()
      context.roundRect(x - size / 2 - 1.5, y - size / 2 - 1.5, size + 3, size + 3, 4)
      context.fill()
      originals.draw(context, index, x - size / 2, y - size / 2, size, size)
    }
    context.globalAlpha = 1
  }

  /** The images for cells of a size: chosen once, as long as nothing else changes. */
  private of(positions: Float32Array, cell: number): number[] {
    const { originals } = this.explorer.networks
    const { isShown, shown } = this.explorer.classes
    const key = [positions, cell, shown, originals]
    if (key.some((part, i) => part !== this.key[i])) {
      const { first, count } = originals!
      this.key = key
      this.chosen = thinned(positions, first, first + count, cell, isShown)
    }
    return this.chosen
  }
}
