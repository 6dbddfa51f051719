/** How well the data support a code: is anything like it in the training set? */

import type { Neighbour } from './neighbours'

/** Distances to the k-th nearest image at sampled images, sorted: the yardstick of `support`. */
export function yardstick(distances: number[]): Float32Array {
  return Float32Array.from(distances).sort()
}

/** Share of the images that lie at least as lonely as something `distance` from its k-th nearest. */
export function support(sorted: Float32Array, distance: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] < distance) low = middle + 1
    else high = middle
  }
  return sorted.length ? (sorted.length - low) / sorted.length : 1
}

/** Of a picture's code: this many of the nearest images name its class. */
export const VOTERS = 25

export interface Share {
  label: number
  share: number
}

/** How the neighbours divide among the classes, largest share first. */
export function mix(neighbours: Neighbour[], labels: ArrayLike<number> | null): Share[] {
  if (!labels || !neighbours.length) return []
  const counts = new Map<number, number>()
  for (const { index } of neighbours) counts.set(labels[index], (counts.get(labels[index]) ?? 0) + 1)
  return [...counts]
    .map(([label, count]) => ({ label, share: count / neighbours.length }))
    .sort((a, b) => b.share - a.share)
}

/** H = −Σ p log p over the classes, in nats. */
export const entropy = (shares: Share[]): number =>
  shares.reduce((sum, { share }) => sum - share * Math.log(share), 0)
