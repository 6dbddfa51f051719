/** Regions on the map: those with a name, the selection, and the stroke that is being drawn. */

import type { Stroke } from '../core/lasso'
import type { Point, View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import type { Named, Regions } from '../state/regions.svelte'
import { outlined, trace, written, type Context } from './pen'

/** Selected points are marked one by one up to so many: more would hide the map. */
const MARKED = 1500

export const drawRegions =
  (explorer: Explorer, regions: Regions) =>
  (context: CanvasRenderingContext2D, view: View): void => {
    for (const { strokes } of onMap(explorer, regions)) fill(context, explorer, view, strokes, 0.16)
    fill(context, explorer, view, regions.strokes.now, 0.2)
    if (!explorer.crowd && regions.members.length <= MARKED) mark(context, explorer, regions.members)
    const draft = regions.outline().map(([u, v]) => explorer.viewport.toScreen(u, v))
    if (draft.length > 1) outline(context, draft, [5, 4])
  }

export const drawRegionNames =
  (explorer: Explorer, regions: Regions) =>
  (context: CanvasRenderingContext2D): void => {
    for (const region of onMap(explorer, regions)) label(context, explorer, region)
  }

const onMap = ({ planes }: Explorer, regions: Regions): Named[] => regions.named.filter(({ map }) => map === planes.plane.id)

function outline(context: Context, line: readonly Point[], dash: number[] = []): void {
  trace(context, line)
  context.closePath()
  outlined(context, '#ffffff', 1.75, dash)
}

/** The strokes as one shape: what is taken away is cut out, line and all. */
function fill(
  context: CanvasRenderingContext2D,
  { viewport }: Explorer,
  view: View,
  strokes: readonly Stroke[],
  alpha: number,
): void {
  if (!strokes.length) return
  const density = context.getTransform().a
  const sheet = new OffscreenCanvas(view.width * density, view.height * density)
  const on = sheet.getContext('2d')!
  on.scale(density, density)
  for (const stroke of strokes) {
    const line = stroke.outline.map(([u, v]) => viewport.toScreen(u, v))
    const adds = stroke.operation !== 'subtract'
    on.globalCompositeOperation = adds ? 'source-over' : 'destination-out'
    trace(on, line)
    on.fillStyle = adds ? `rgb(255 255 255 / ${alpha})` : '#000'
    on.fill()
    if (adds) outline(on, line)
  }
  context.drawImage(sheet, 0, 0, view.width, view.height)
}

/** Marks images one by one. */
export function mark(context: Context, { planes, viewport }: Explorer, images: Iterable<number>): void {
  context.fillStyle = '#ffffff'
  for (const index of images) {
    const [x, y] = viewport.toScreen(...planes.place(index))
    context.fillRect(x - 1, y - 1, 2, 2)
  }
}

function label(context: Context, { viewport }: Explorer, { name, strokes }: Named): void {
  const corners = strokes[0]?.outline ?? []
  const middle = (k: 0 | 1): number => corners.reduce((sum, at) => sum + at[k], 0) / corners.length
  written(context, name, ...viewport.toScreen(middle(0), middle(1)))
}
