/** A card to share: title, map and film strip as one picture, of the size that link previews have. */

import { drawStrips, type Film } from './media'

export const CARD = { width: 1200, height: 630 }
/** Heights of what stands over and under the map, in pixels. */
const HEAD = 84
const STRIP = 75
const FOOT = 36
/** Frames of a strip, at most. */
const FRAMES = 16

export interface CardText {
  title: string
  /** What the map shows, in numbers. */
  line: string
  /** What the strip shows; nothing where there is none. */
  strip: string
}

/** How much of the card the map has: it lies under the head, which stays free of what is to be seen. */
export const mapOn = (strip: boolean): { height: number; insets: { left: number; top: number; right: number; bottom: number } } => ({
  height: CARD.height - FOOT - (strip ? STRIP : 0),
  insets: { left: 40, top: HEAD, right: 40, bottom: 20 },
})

/** Draws the card around the map, which is as large as `mapOn` says. */
export function drawCard(
  context: CanvasRenderingContext2D,
  map: CanvasImageSource,
  film: Film | null,
  { title, line, strip }: CardText,
): void {
  const { canvas } = context
  const { width, height } = Object.assign(canvas, CARD)
  const top = mapOn(film !== null).height
  context.fillStyle = '#0a0c0f'
  context.fillRect(0, 0, width, height)
  context.drawImage(map, 0, 0)
  const shade = context.createLinearGradient(0, 0, 0, 1.5 * HEAD)
  shade.addColorStop(0.5, 'rgb(10 12 15 / 0.85)')
  shade.addColorStop(1, 'rgb(10 12 15 / 0)')
  context.fillStyle = shade
  context.fillRect(0, 0, width, 1.5 * HEAD)
  const text = (font: string, colour: string, words: string, x: number, y: number, align: CanvasTextAlign = 'left'): void => {
    context.font = `${font} system-ui, sans-serif`
    context.fillStyle = colour
    context.textAlign = align
    context.fillText(words, x, y, width - 48)
  }
  text('600 32px', '#ffffff', title, 24, 42)
  text('20px', '#c9d1da', line, 24, 72)
  text('18px', '#c9d1da', strip, 24, height - 11)
  text('600 18px', '#ffffff', 'vaescape', width - 24, height - 11, 'right')
  if (film) drawFilm(context, film, top)
}

/** Frames of the film over the whole width, or at the height of the strip in the middle. */
function drawFilm(context: CanvasRenderingContext2D, film: Film, top: number): void {
  const { frames, shape } = film
  const count = Math.min(frames.length, FRAMES)
  const chosen = Array.from({ length: count }, (_, i) => frames[Math.round((i * (frames.length - 1)) / Math.max(count - 1, 1))])
  const sheet = document.createElement('canvas')
  drawStrips(sheet.getContext('2d')!, [{ name: '', film: { frames: chosen, shape } }], { names: 0, paper: '#0a0c0f' })
  const wide = Math.min(CARD.width, (STRIP * sheet.width) / sheet.height)
  const high = (wide * sheet.height) / sheet.width
  context.imageSmoothingQuality = 'high'
  context.drawImage(sheet, (CARD.width - wide) / 2, top + (STRIP - high) / 2, wide, high)
}
