/** Strokes that show on any background: light on dark. */

import type { Point } from '../core/view'

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

/** Strokes the path as it is, dark and wide first. */
export function outlined(context: Context, colour: string, width: number, dash: number[] = [], dark = 'rgb(8 10 13 / 0.8)'): void {
  context.setLineDash([])
  context.lineWidth = width + 2.5
  context.strokeStyle = colour === INK ? 'rgb(255 255 255 / 0.7)' : dark
  context.stroke()
  context.setLineDash(dash)
  context.lineWidth = width
  context.strokeStyle = colour
  context.stroke()
  context.setLineDash([])
}

export const INK = '#0b0d10'

export function trace(context: Context, line: readonly Point[]): void {
  context.beginPath()
  for (const at of line) context.lineTo(...at)
}

export function disc(context: Context, at: Point | null, radius: number): void {
  if (!at) return
  context.beginPath()
  context.arc(...at, radius, 0, 2 * Math.PI)
  context.fillStyle = '#ffffff'
  context.fill()
  outlined(context, INK, 2)
}

/** A circle without its inside. */
export function ring(context: Context, x: number, y: number, radius: number, colour: string, width: number): void {
  context.beginPath()
  context.arc(x, y, radius, 0, 2 * Math.PI)
  outlined(context, colour, width)
}

/** A thin circle around a dot, where there are many. */
export function circled(context: Context, x: number, y: number): void {
  context.beginPath()
  context.arc(x, y, 3, 0, 2 * Math.PI)
  context.lineWidth = 1
  context.strokeStyle = '#ffffff'
  context.stroke()
}

export const NAME_FONT = '600 13px system-ui, -apple-system, "Segoe UI", sans-serif'

/** A text with a dark edge. */
export function written(context: Context, text: string, x: number, y: number, colour = '#ffffff'): void {
  context.font = NAME_FONT
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.lineJoin = 'round'
  context.lineWidth = 5
  context.strokeStyle = 'rgb(8 10 13 / 0.85)'
  context.strokeText(text, x, y)
  context.fillStyle = colour
  context.fillText(text, x, y)
}
