/** A discrete code on the map: its place, and the images that share the chosen index. */

import type { Codes } from '../state/codes.svelte'
import type { Explorer } from '../state/explorer.svelte'
import { outlined, type Context } from './pen'
import { mark } from './regions'

/** Images are marked up to so many: more would hide the map. */
const MARKED = 4000

export const drawCode = (explorer: Explorer, codes: Codes) => (context: Context): void => {
  const { planes, viewport } = explorer
  if (codes.alike.length <= MARKED) mark(context, explorer, codes.alike)
  const at = planes.ofLatent(codes.z)
  if (!at) return
  const [x, y] = viewport.toScreen(...at)
  context.beginPath()
  context.rect(x - 6, y - 6, 12, 12)
  outlined(context, '#ffffff', 2)
}
