/** Regions of posterior mass, for posteriors of any shape on the plane. */

import { contours } from 'd3-contour'
import type { Point } from './view'

/** What ellipses at one and two standard deviations of a Gaussian hold. */
export const SHARES = [0.393, 0.865]

/** Densities of some images' posteriors on grids of their own, 255 at the highest; row 0 has the lowest y. */
export interface Masses {
  first: number
  count: number
  side: number
  /** Low x, high x, low y, high y of each. */
  windows: Float32Array
  values: Uint8Array
}

/** The density above which the densest cells hold a share of the mass. */
export function threshold(values: Uint8Array, share: number): number {
  const sorted = Uint8Array.from(values).sort().reverse()
  const total = sorted.reduce((sum, value) => sum + value, 0)
  let held = 0
  for (const value of sorted) {
    held += value
    if (held >= share * total) return value
  }
  return 0
}

/** The outlines of the smallest regions that hold these shares of an image's posterior, in latent units. */
export function regionsOf(masses: Masses, index: number, shares = SHARES): Point[][] {
  const { first, count, side, windows, values } = masses
  const at = index - first
  if (at < 0 || at >= count) return []
  const own = values.subarray(at * side * side, (at + 1) * side * side)
  const [left, right, low, high] = windows.subarray(4 * at, 4 * at + 4)
  const place = ([x, y]: number[]): Point => [
    left + (x / side) * (right - left),
    low + (y / side) * (high - low),
  ]
  return contours()
    .size([side, side])
    .thresholds(shares.map((share) => Math.max(1, threshold(own, share))))(Array.from(own))
    .flatMap(({ coordinates }) => coordinates.flat().map((ring) => ring.map(place)))
}
