/** All codes of a large set in place of the points: counts of cells as colours, codes that came one by one as dots. */

import { shaded, type Counts } from '../core/pyramid'
import { rgb } from '../core/raster'
import type { View } from '../core/view'
import type { Crowd } from '../state/crowd.svelte'
import type { Explorer } from '../state/explorer.svelte'
import { boxOf, onScreen } from './background'
import { DIMMED, type Dots } from './dots'

interface Sheet {
  canvas: OffscreenCanvas
  /** What it was painted for. */
  key: readonly unknown[]
}

export class Cells {
  private readonly sheets = new WeakMap<Counts, Sheet>()

  constructor(
    private readonly explorer: Explorer,
    private readonly crowd: Crowd,
    private readonly dots: Dots,
  ) {}

  /** Draws the tiles that are there for a view in device pixels. */
  draw(context: CanvasRenderingContext2D, view: View, ratio: number): void {
    const { counted, near, shown, entry } = this.crowd
    const { manifest, surface } = this.explorer
    const labels = manifest.data.classes.length ? near.labels : null
    this.dots.draw(context, view, ratio, near.places, null, labels, counted)
    context.globalAlpha = Math.min(surface.layers.alpha, 1)
    for (const tile of shown) {
      const content = this.crowd.content(tile)
      if (!content || 'places' in content) continue
      const { x, y, width, height } = onScreen(view, boxOf(tile, entry.side))
      context.drawImage(this.painted(content, tile.level), x, y, width, height)
    }
    context.globalAlpha = 1
  }

  private painted(content: Counts, level: number): OffscreenCanvas {
    const { colours, shown, highlighted } = this.explorer.classes
    const { side } = this.crowd.entry
    const key = [shown, highlighted]
    const known = this.sheets.get(content)
    if (known && key.every((part, n) => part === known.key[n])) return known.canvas
    const canvas = known?.canvas ?? new OffscreenCanvas(side, side)
    const weight = (on: boolean, label: number): number =>
      on ? (highlighted === null || highlighted === label ? 1 : DIMMED) : 0
    const weights = Float32Array.from(shown.length ? shown.map(weight) : [1])
    const ink = Uint8Array.from(colours.length ? colours.flatMap(rgb) : [200, 200, 200])
    const pixels = shaded(content, side, ink, weights, this.typical(level))
    canvas.getContext('2d')!.putImageData(new ImageData(pixels, side, side), 0, 0)
    this.sheets.set(content, { canvas, key })
    return canvas
  }

  /** Codes in a cell if all codes were spread evenly over the window that holds the data. */
  private typical(level: number): number {
    const { x, y } = this.explorer.planes.home
    return (this.crowd.entry.count * 4 ** level) / ((x[1] - x[0]) * (y[1] - y[0]))
  }
}
