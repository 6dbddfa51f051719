/** Ways from a to b through latent space. A path is a table (T, D) whose ends are exactly a and b. */

import { along, distance, lerp, norm, row, stack, type Numbers } from './rows'

/** T shares from 0 to 1, both included. */
export const shares = (steps: number): number[] =>
  Array.from({ length: steps }, (_, i) => i / Math.max(1, steps - 1))

/** The straight line. */
export const linear = (a: Numbers, b: Numbers, steps: number): Float32Array =>
  stack(shares(steps).map((t) => lerp(a, b, t)))

/**
 * The arc: direction at constant speed, norm linear from |a| to |b| (directions as in Shoemake, 1985).
 * Where there is no arc, or no single one (parallel, opposite or zero vectors), the straight line.
 */
export function spherical(a: Numbers, b: Numbers, steps: number): Float32Array {
  const [long, wide] = [norm(a), norm(b)]
  const u = Float64Array.from(a, (value) => value / long)
  const v = Float64Array.from(b, (value) => value / wide)
  const angle = 2 * Math.atan2(distance(u, v), norm(u.map((value, i) => value + v[i])))
  if (!(Math.sin(angle) > 1e-6)) return linear(a, b, steps)
  const arc = (t: number): Float64Array => {
    const size = (long + t * (wide - long)) / Math.sin(angle)
    const [from, to] = [Math.sin((1 - t) * angle), Math.sin(t * angle)]
    return u.map((value, i) => size * (from * value + to * v[i]))
  }
  const inner = shares(steps).slice(1, -1)
  return stack([a, ...inner.map(arc), b])
}

/** Distances between neighbouring rows: T − 1 numbers, in the unit of the rows. */
export function steps(rows: Float32Array, width: number): number[] {
  const count = rows.length / width - 1
  return Array.from({ length: count }, (_, i) =>
    distance(row(rows, width, i), row(rows, width, i + 1)),
  )
}

/** The length of a broken line. */
export const length = (rows: Float32Array, width: number): number =>
  steps(rows, width).reduce((sum, step) => sum + step, 0)

/**
 * Points along the same broken line, evenly spaced by `speeds`, the length given to each of its
 * pieces (their own lengths unless given; the lengths in image space for constant image speed). A path
 * that never moves there is spaced by its own lengths, as in Python.
 */
export function resample(
  path: Float32Array,
  dims: number,
  count: number,
  speeds?: readonly number[],
): Float32Array {
  const pieces = speeds?.some((speed) => speed > 0) ? speeds : steps(path, dims)
  const total = pieces.reduce((sum, piece) => sum + piece, 0)
  const last = path.length / dims - 1
  let [piece, passed] = [0, 0]
  return stack(
    shares(count).map((share, i) => {
      if (i === 0 || i === count - 1) return row(path, dims, i && last)
      while (piece < last - 1 && passed + pieces[piece] < share * total) passed += pieces[piece++]
      const t = pieces[piece] > 0 ? (share * total - passed) / pieces[piece] : 0
      return lerp(row(path, dims, piece), row(path, dims, piece + 1), Math.min(1, t))
    }),
  )
}

/** Several paths, each from where the last one ended, as one. */
export const join = (paths: readonly Float32Array[], dims: number): Float32Array => {
  const inner = paths.map((path, i) => (i ? path.subarray(dims) : path))
  const joined = new Float32Array(inner.reduce((sum, path) => sum + path.length, 0))
  let at = 0
  for (const path of inner) {
    joined.set(path, at)
    at += path.length
  }
  return joined
}

/** There and back again, the ends shown once: 0 … T−1 … 1. */
export const pingPong = (count: number): number[] =>
  Array.from({ length: Math.max(1, 2 * count - 2) }, (_, i) => (i < count ? i : 2 * count - 2 - i))

/** How far |a| and |b| differ, as the larger over the smaller; an arc between unlike norms is a spiral. */
export const normRatio = (a: Numbers, b: Numbers): number => {
  const [small, large] = [norm(a), norm(b)].sort((x, y) => x - y) as [number, number]
  return small > 0 ? large / small : Infinity
}

/** Point on a broken line nearest to a given one: the piece it lies on and the point. */
export function nearestOnPath(
  path: Float32Array,
  dims: number,
  point: Numbers,
): { piece: number; point: Float32Array; distance: number } {
  const found = steps(path, dims).map((size, piece) => {
    const [from, to] = [row(path, dims, piece), row(path, dims, piece + 1)]
    const direction = along(to, from, -1)
    let share = 0
    for (let d = 0; d < dims; d++)
      share += (direction[d] * (point[d] - from[d])) / (size * size || 1)
    const on = lerp(from, to, Math.max(0, Math.min(1, share)))
    return { piece, point: on, distance: distance(on, point) }
  })
  return found.reduce((best, one) => (one.distance < best.distance ? one : best))
}
