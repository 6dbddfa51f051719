/** A morph on the map: its ways, their waypoints and the frame that is shown. */

import { unstack } from '../core/rows'
import type { Point } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import { KINDS, onScreen, type Kind, type Morph } from '../state/morph.svelte'
import { disc, outlined, trace, type Context } from './pen'

export const drawWays = (explorer: Explorer, morph: Morph) => (context: Context): void => {
  context.lineCap = 'round'
  for (const kind of KINDS) drawWay(context, explorer, morph, kind)
  for (const stop of morph.waypoints) disc(context, onScreen(explorer, stop), 6)
  context.lineCap = 'butt'
}

function drawWay(context: Context, explorer: Explorer, morph: Morph, { id, dash }: Kind): void {
  const way = morph.ways[id]
  if (!way) return
  const line = unstack(way.path, explorer.points.D).map((z) => onScreen(explorer, z))
  if (line.some((at) => at === null)) return
  const chosen = id === morph.kind
  trace(context, line as Point[])
  outlined(context, chosen ? '#ffffff' : 'rgb(255 255 255 / 0.75)', chosen ? 3 : 1.8, dash)
  disc(context, line[Math.min(morph.frame, line.length - 1)], chosen ? 5 : 3.5)
}
