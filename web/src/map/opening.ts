/** The opening's morph on the map: its way, and the decoded image as it travels. */

import { rgba } from '../core/originals'
import type { Point } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import { onScreen } from '../state/morph.svelte'
import type { Opening } from '../state/opening.svelte'
import { disc, outlined, trace, type Context } from './pen'

const SIZE = 88
const GAP = 14

export const drawOpening = (explorer: Explorer, opening: Opening) => (context: Context): void => {
  const [x, y] = drawWay(context, explorer, opening)[opening.at] ?? []
  if (x === undefined) return
  disc(context, [x, y], 6)
  drawImage(context, explorer, opening.frames[opening.at], x + GAP, y - SIZE - GAP)
}

/** Draws the way and returns its points on the screen; none where the plane has no place for them. */
function drawWay(context: Context, explorer: Explorer, { path }: Opening): Point[] {
  const line = path.map((z) => onScreen(explorer, z)).filter((at) => at !== null)
  if (line.length < path.length) return []
  trace(context, line)
  outlined(context, '#ffffff', 3)
  return line
}

/** The way as a picture that does not move has it: with both of its ends. */
export const drawStill = (explorer: Explorer, opening: Opening) => (context: Context): void => {
  const line = drawWay(context, explorer, opening)
  for (const end of [line.at(0), line.at(-1)]) disc(context, end ?? null, 6)
}

function drawImage(context: Context, explorer: Explorer, image: Float32Array, x: number, y: number): void {
  const [C, height, width] = explorer.manifest.data.shape
  const picture = new OffscreenCanvas(width, height)
  picture.getContext('2d')!.putImageData(new ImageData(rgba(image, C, width * height), width, height), 0, 0)
  context.beginPath()
  context.roundRect(x - 2, y - 2, SIZE + 4, (SIZE * height) / width + 4, 6)
  context.fillStyle = '#ffffff'
  context.fill()
  context.drawImage(picture, x, y, SIZE, (SIZE * height) / width)
}
