/** How lonely an image must be to be called far from all others. */

import { yardstick } from '../core/support'
import type { Explorer } from './explorer.svelte'

const SAMPLED = 400

/** The yardstick of support: how lonely images of the set are, a few at a time. */
export async function measure(explorer: Explorer): Promise<void> {
  const { points } = explorer
  const distances: number[] = []
  const stride = Math.max(1, Math.floor(points.count / SAMPLED))
  for (let n = 0; n < points.count; n += stride) {
    distances.push(points.nearest(points.z(n), 51).at(-1)?.distance ?? Infinity)
    if (distances.length % 8 === 0) await new Promise((resolve) => setTimeout(resolve))
  }
  explorer.probe.yardstick = yardstick(distances)
}
