/** Where the names of classes stand while images move: on the densest places of each class. */

import type { Medoid, Points } from './points'

/** Cells across the plane. */
const SIDE = 40
/** Of the density at its densest place: what belongs to an island. */
const LEVEL = 0.25
/** Share of a class that makes an island. */
const LEAST = 0.15

/** For each class its islands, the largest class first: the image in the middle of the densest cell of each. */
export function islands(positions: Float32Array, points: Points, first = 0, end = points.count): Medoid[] {
  const { labels } = points
  if (!labels || end <= first) return []
  const cellOf = lattice(positions, first, end)
  const members = points.manifest.data.classes.map((): number[] => [])
  for (let n = first; n < end; n++) members[labels[n]].push(n)
  const place = (index: number): [number, number] => [positions[2 * index], positions[2 * index + 1]]
  return members
    .map((own, label) => ({ own, label }))
    .sort((a, b) => b.own.length - a.own.length)
    .flatMap(({ own, label }) => peaks(own, cellOf).map((index) => ({ label, index, at: place(index) })))
}

/** The cell of an image on a square lattice over the plane. */
function lattice(positions: Float32Array, first: number, end: number): (index: number) => number {
  const low = [Infinity, Infinity]
  const high = [-Infinity, -Infinity]
  for (let i = 2 * first; i < 2 * end; i++) {
    low[i & 1] = Math.min(low[i & 1], positions[i])
    high[i & 1] = Math.max(high[i & 1], positions[i])
  }
  const along = (index: number, axis: number): number =>
    Math.min(SIDE - 1, Math.floor(((positions[2 * index + axis] - low[axis]) / (high[axis] - low[axis] || 1)) * SIDE))
  return (index) => along(index, 1) * SIDE + along(index, 0)
}

/** Of a class's images, one on each island. */
function peaks(own: readonly number[], cellOf: (index: number) => number): number[] {
  const counts = new Float32Array(SIDE * SIDE)
  for (const index of own) counts[cellOf(index)]++
  const density = counts.map((_, cell) => around(cell).reduce((sum, near) => sum + counts[near], counts[cell]))
  const level = LEVEL * Math.max(...density)
  const taken = new Uint8Array(SIDE * SIDE)
  const found: { size: number; peak: number }[] = []
  for (let from = 0; from < SIDE * SIDE; from++) {
    if (taken[from] || density[from] < level || !own.length) continue
    const island = [from]
    taken[from] = 1
    for (const cell of island)
      for (const near of around(cell)) if (!taken[near] && density[near] >= level) island.push(near) && (taken[near] = 1)
    const peak = island.reduce((best, cell) => (counts[cell] && (!counts[best] || density[cell] > density[best]) ? cell : best))
    found.push({ size: island.reduce((sum, cell) => sum + counts[cell], 0), peak })
  }
  found.sort((a, b) => b.size - a.size)
  return found
    .filter(({ size }, n) => n === 0 || size >= LEAST * own.length)
    .map(({ peak }) => own.find((index) => cellOf(index) === peak)!)
}

/** The eight cells about one. */
function around(cell: number): number[] {
  const [x, y] = [cell % SIDE, Math.floor(cell / SIDE)]
  const found: number[] = []
  for (let v = Math.max(0, y - 1); v <= Math.min(SIDE - 1, y + 1); v++)
    for (let u = Math.max(0, x - 1); u <= Math.min(SIDE - 1, x + 1); u++) if (u !== x || v !== y) found.push(v * SIDE + u)
  return found
}
