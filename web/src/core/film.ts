/** The training film: where the images lay at moments of the training. */

import type { FilmEntry } from './manifest'
import type { Plane } from './plane'

/** The plane with the film's images where they lay, the others where they lie now. */
export function planeAt(plane: Plane, film: FilmEntry, places: Float32Array, at: number): Plane {
  const per = places.length / ((film.moments.length - 1) * film.count)
  const row = places.subarray(at * film.count * per, (at + 1) * film.count * per)
  const positions = plane.positions.slice()
  for (let n = 0; n < film.count; n++)
    for (let k = 0; k < per; k++) positions[2 * (film.first + n) + k] = row[n * per + k]
  return { ...plane, id: `film-${film.moments[at].step}`, positions }
}

/** "Step 1,234, epoch 2.6": which moment it is. */
export function momentName({ step, epoch }: { step: number; epoch: number }): string {
  const digits = epoch < 1 ? 2 : 1
  return `Step ${step.toLocaleString('en')}, epoch ${epoch.toLocaleString('en', { maximumFractionDigits: digits })}`
}
