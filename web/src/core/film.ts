/** The training film: where the images lay at snapshots of the training. */

import type { FilmEntry } from './manifest'
import type { Plane } from './plane'
import type { Point } from './view'

/** Milliseconds that the points take from one place to the next. */
export const TRAVEL = 700

/** The plane with the film's images where they lay, the others where they lie now. */
export function planeAt(plane: Plane, film: FilmEntry, places: Float32Array, at: number): Plane {
  const per = places.length / ((film.snapshots.length - 1) * film.count)
  const row = places.subarray(at * film.count * per, (at + 1) * film.count * per)
  const positions = plane.positions.slice()
  for (let n = 0; n < film.count; n++)
    for (let k = 0; k < per; k++) positions[2 * (film.first + n) + k] = row[n * per + k]
  return { ...plane, id: `film-${film.snapshots[at].step}`, positions }
}

/** Where an image of the film lay at each snapshot, its place at the end last. */
export function trail(plane: Plane, film: FilmEntry, places: Float32Array, index: number): Point[] {
  const rows = film.snapshots.length - 1
  const per = places.length / (rows * film.count)
  const end: Point = [plane.positions[2 * index], plane.positions[2 * index + 1]]
  const before = Array.from({ length: rows }, (_, at): Point => {
    const from = (at * film.count + index - film.first) * per
    return [places[from], per > 1 ? places[from + 1] : end[1]]
  })
  return [...before, end]
}

/** "Step 1,234, epoch 2.6": which snapshot it is. */
export function snapshotName({ step, epoch }: { step: number; epoch: number }): string {
  const digits = epoch < 1 ? 2 : 1
  return `Step ${step.toLocaleString('en')}, epoch ${epoch.toLocaleString('en', { maximumFractionDigits: digits })}`
}
