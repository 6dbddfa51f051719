/** What panels and the map give each other: drawings on its top layer, tools, clicks, and how it looks. */

import type { Point, View } from '../core/view'

export type OverlayId = 'none' | 'density' | 'metric' | 'sigma' | 'entropy' | 'classifier' | 'prior' | 'error'

/** Draws on the top layer of the map, in css pixels. */
export type Draw = (context: CanvasRenderingContext2D, view: View) => void

/** What is painted of the map: all of it, unless told otherwise, as it is seen now or in another view. */
export interface Painted {
  dots?: boolean
  marks?: boolean
  view?: View
}

/** Takes the pointer over from panning: a lasso, a path's handles. */
export interface Tool {
  cursor: string
  down(at: Point, event: PointerEvent): boolean
  move(at: Point, event: PointerEvent): void
  up(at: Point, event: PointerEvent): void
}

type Tap = (at: Point, index: number | null) => boolean

export class Surface {
  layers = $state({ background: 0.42, size: 1, alpha: 1, labels: true })
  overlay = $state<OverlayId>('none')
  tool = $state.raw<Tool | null>(null)
  /** Whether the tool has the pointer, so that the map stays where it is. */
  held = $state(false)
  /** Paints the map anew at so many pixels per css pixel, or another view of it; null without a map. */
  paint = $state.raw<((scale: number, options?: Painted) => Promise<OffscreenCanvas>) | null>(null)
  /** Asks the map for a new frame; the map itself puts it here. */
  redraw: () => void = () => {}
  /** Gives the map the keyboard. */
  focus: () => void = () => {}
  private readonly draws = { below: new Set<Draw>(), above: new Set<Draw>() }
  private readonly taps = new Set<Tap>()

  /** Draws on the map's top layer at every frame, above or below the names of classes; returns what stops it. */
  addDraw(draw: Draw, where: 'above' | 'below' = 'above'): () => void {
    this.draws[where].add(draw)
    this.redraw()
    return () => {
      this.draws[where].delete(draw)
      this.redraw()
    }
  }

  draw(context: CanvasRenderingContext2D, view: View, where: 'above' | 'below'): void {
    for (const draw of this.draws[where]) draw(context, view)
  }

  /** Hears of a click on the map (plane coordinates, image hit or null); true keeps it. */
  addTap(tap: Tap): () => void {
    this.taps.add(tap)
    return () => this.taps.delete(tap)
  }

  tapped(at: Point, index: number | null): boolean {
    return [...this.taps].reverse().some((tap) => tap(at, index))
  }
}
