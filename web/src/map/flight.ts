/** A dot on its way across the map. */

import type { Point } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'
import { disc, written, type Context } from './pen'

const MILLISECONDS = 650

/** Flies from a place on the screen to one on the plane; at once for those who want no motion. */
export function fly({ surface, viewport }: Explorer, from: Point, to: Point): Promise<void> {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return Promise.resolve()
  const began = performance.now()
  const share = (): number => Math.min(1, (performance.now() - began) / MILLISECONDS)
  return new Promise((done) => {
    const stop = surface.addDraw((context) => {
      const eased = 1 - (1 - share()) ** 3
      const [x, y] = viewport.toScreen(...to)
      disc(context, [from[0] + (x - from[0]) * eased, from[1] + (y - from[1]) * eased], 7)
    })
    const step = (): void => {
      surface.redraw()
      if (share() < 1) requestAnimationFrame(step)
      else done(stop())
    }
    step()
  })
}

/** Where the code lies of a picture that is being drawn, or null. */
export const drawOwn = ({ planes, viewport }: Explorer, code: () => Float32Array | null) => (context: Context): void => {
  const z = code()
  const at = z && planes.ofLatent(z)
  if (!at) return
  const [x, y] = viewport.toScreen(...at)
  disc(context, [x, y], 7)
  written(context, 'your drawing', x, y - 18)
}
