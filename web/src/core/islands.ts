/** Where the names of classes stand while images move: on the densest places of each class. */

import { histogram, smooth } from './grids'
import { extent } from './plane'
import type { Medoid, Points } from './points'
import type { Point } from './view'

/** Cells across the plane. */
const SIDE = 40
/** Of the density at its densest place: what belongs to an island. */
const LEVEL = 0.25
/** Share of a class that makes an island. */
const LEAST = 0.15

/** For each class its islands, the largest class first: the image nearest to the middle of the densest cell of each. */
export function islands(positions: Float32Array, points: Points, first = 0, end = points.count): Medoid[] {
  const { labels } = points
  if (!labels || end <= first) return []
  const members = points.manifest.data.classes.map((): number[] => [])
  for (let n = first; n < end; n++) members[labels[n]].push(n)
  const box = extent(positions.subarray(2 * first, 2 * end))
  const at = (index: number): Point => [positions[2 * index], positions[2 * index + 1]]
  const nearest = (own: readonly number[], cell: number): number => {
    const u = box.x[0] + (((cell % SIDE) + 0.5) / SIDE) * (box.x[1] - box.x[0])
    const v = box.y[1] - ((Math.floor(cell / SIDE) + 0.5) / SIDE) * (box.y[1] - box.y[0])
    const off = own.map((index) => Math.hypot(at(index)[0] - u, at(index)[1] - v))
    return own[off.indexOf(Math.min(...off))]
  }
  return members
    .map((own, label) => ({ own, label, counts: histogram(positions, box, SIDE, (n) => n >= first && n < end && labels[n] === label) }))
    .sort((a, b) => b.own.length - a.own.length)
    .flatMap(({ own, label, counts }) =>
      peaks(counts.values, smooth(counts, 1).values)
        .map((cell) => nearest(own, cell))
        .map((index) => ({ label, index, at: at(index) })),
    )
}

/** The first name of each class, then the second of each, …: where there is no room for all, no class is without. */
export function eachFirst(names: readonly Medoid[]): Medoid[] {
  const rounds: Medoid[][] = []
  const met = new Map<number, number>()
  for (const name of names) {
    const round = met.get(name.label) ?? 0
    met.set(name.label, round + 1)
    ;(rounds[round] ??= []).push(name)
  }
  return rounds.flat()
}

/** Of names at one place, where the images of a discrete code lie, that of the class with the most images there. */
export function foremost(names: readonly Medoid[], positions: Float32Array, labels: ArrayLike<number>): Medoid[] {
  const place = (index: number): string => `${positions[2 * index]} ${positions[2 * index + 1]}`
  const counts = new Map(names.map(({ label, index }) => [`${place(index)} ${label}`, 0]))
  for (let n = 0; n < labels.length; n++) {
    const key = `${place(n)} ${labels[n]}`
    if (counts.has(key)) counts.set(key, counts.get(key)! + 1)
  }
  const best = new Map<string, Medoid>()
  const size = ({ label, index }: Medoid): number => counts.get(`${place(index)} ${label}`)!
  for (const name of names) {
    const other = best.get(place(name.index))
    if (!other || size(name) > size(other)) best.set(place(name.index), name)
  }
  return [...best.values()]
}

/** The densest cell of each island, the largest island first. */
function peaks(counts: Float32Array, density: Float32Array): number[] {
  const level = LEVEL * Math.max(...density)
  if (!level) return []
  const taken = new Uint8Array(density.length)
  const found: { size: number; peak: number }[] = []
  for (let from = 0; from < density.length; from++) {
    if (taken[from] || density[from] < level) continue
    const island = [from]
    taken[from] = 1
    for (const cell of island)
      for (const near of around(cell)) if (!taken[near] && density[near] >= level) island.push(near) && (taken[near] = 1)
    const peak = island.reduce((best, cell) => (density[cell] > density[best] ? cell : best))
    found.push({ size: island.reduce((sum, cell) => sum + counts[cell], 0), peak })
  }
  const all = counts.reduce((sum, count) => sum + count, 0)
  return found
    .sort((a, b) => b.size - a.size)
    .filter(({ size }, n) => n === 0 || size >= LEAST * all)
    .map(({ peak }) => peak)
}

/** The eight cells about one. */
function around(cell: number): number[] {
  const [x, y] = [cell % SIDE, Math.floor(cell / SIDE)]
  const found: number[] = []
  for (let v = Math.max(0, y - 1); v <= Math.min(SIDE - 1, y + 1); v++)
    for (let u = Math.max(0, x - 1); u <= Math.min(SIDE - 1, x + 1); u++) if (u !== x || v !== y) found.push(v * SIDE + u)
  return found
}
