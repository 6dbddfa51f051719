/** The planes a map can show: how a latent code becomes a place on it, and the way back. */

import type { Codebook } from './codes'
import type { Box, Point } from './view'

export interface Plane {
  id: string
  name: string
  /** Names of the two axes. */
  axes: [string, string]
  /** Two numbers per point: where each image lies. */
  positions: Float32Array
  /** True where a place on the plane stands for exactly the code that `toLatent` gives. */
  exact: boolean
  /** The code at a place, on the slice that passes through `anchor`. */
  toLatent(u: number, v: number, anchor: Float32Array | null): Float32Array
  /** Where a code falls; null where the plane has no formula for it. */
  ofLatent(z: Float32Array): Point | null
  /** The two directions of the plane as columns, D × 2; null where they are not straight. */
  basis: Float32Array | null
}

/** Points that are enough to know how far the data reach. */
const ENOUGH = 20_000

/** The window that holds all but the outermost 0.2 % on every side, with a margin. */
export function extent(positions: Float32Array, margin = 0.04): Box {
  const count = positions.length / 2
  const stride = Math.max(1, Math.floor(count / ENOUGH))
  const along = (axis: number): Point => {
    const sorted = new Float32Array(Math.ceil(count / stride))
    for (let n = 0; n < sorted.length; n++) sorted[n] = positions[2 * n * stride + axis]
    sorted.sort()
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0
    const [lo, hi] = [at(0.002), at(0.998)]
    const pad = Math.max((hi - lo) * margin, 1e-6)
    return [lo - pad, hi + pad]
  }
  return { x: along(0), y: along(1) }
}

const WHOLE = new Float32Array([1, 0, 0, 1])

/** A two-dimensional latent space as it is. */
export function identity(latents: Float32Array): Plane {
  return {
    id: 'latent',
    name: 'Latent plane',
    axes: ['z1', 'z2'],
    positions: latents,
    exact: true,
    basis: WHOLE,
    toLatent: (u, v) => Float32Array.of(u, v),
    ofLatent: (z) => [z[0], z[1]],
  }
}

/** A one-dimensional latent space: the height only keeps the points apart. */
export function line(latents: Float32Array): Plane {
  const [lo, hi] = extent(Float32Array.from({ length: latents.length * 2 }, (_, i) => latents[i >> 1])).x
  const height = (hi - lo) / 4
  const positions = new Float32Array(latents.length * 2)
  latents.forEach((z, i) => {
    positions[2 * i] = z
    positions[2 * i + 1] = height * (((i * GOLDEN) % 1) - 0.5)
  })
  return {
    id: 'line',
    name: 'Latent line',
    axes: ['z1', 'no meaning: points are spread to be seen'],
    positions,
    exact: true,
    basis: null,
    toLatent: (u) => Float32Array.of(u),
    ofLatent: (z) => [z[0], 0],
  }
}

/** Spreads successive numbers evenly over an interval (the golden-ratio sequence). */
const GOLDEN = 0.6180339887498949

/** Two of the latent dimensions; the others stay at the anchor's, or at zero. */
export function axes(latents: Float32Array, D: number, i: number, j: number): Plane {
  const positions = new Float32Array((latents.length / D) * 2)
  for (let n = 0; n < positions.length / 2; n++) {
    positions[2 * n] = latents[n * D + i]
    positions[2 * n + 1] = latents[n * D + j]
  }
  const basis = new Float32Array(2 * D)
  basis[2 * i] = 1
  basis[2 * j + 1] = 1
  return {
    id: `axes-${i}-${j}`,
    name: `z${i + 1} and z${j + 1}`,
    axes: [`z${i + 1}`, `z${j + 1}`],
    positions,
    exact: true,
    basis,
    toLatent: (u, v, anchor) => {
      const z = anchor ? anchor.slice() : new Float32Array(D)
      z[i] = u
      z[j] = v
      return z
    },
    ofLatent: (z) => [z[i], z[j]],
  }
}

/** The plane of the two principal directions: B is D × 2 with orthonormal columns. */
export function principal(positions: Float32Array, B: Float32Array, mean: Float32Array): Plane {
  const ofLatent = (z: Float32Array): Point => {
    const at: Point = [0, 0]
    for (let d = 0; d < z.length; d++) {
      at[0] += B[2 * d] * (z[d] - mean[d])
      at[1] += B[2 * d + 1] * (z[d] - mean[d])
    }
    return at
  }
  return {
    id: 'pca',
    name: 'Principal plane (PCA)',
    axes: ['first direction', 'second direction'],
    positions,
    exact: true,
    basis: B,
    toLatent: (u, v, anchor) => {
      const from = anchor ?? mean
      const [u0, v0] = ofLatent(from)
      return from.map((value, d) => value + B[2 * d] * (u - u0) + B[2 * d + 1] * (v - v0))
    },
    ofLatent,
  }
}

/** The plane on which a run's codes lie as another run's: turned and shifted, not scaled. */
export function aligned({ latents, D }: Codes, basis: readonly number[][], origin: readonly number[]): Plane {
  const plane = principal(latents, Float32Array.from(basis.flat()), Float32Array.from(origin))
  const named = { ...plane, id: 'aligned', name: 'Aligned with the other run', axes: ['first axis', 'second axis'] as [string, string] }
  return projected(named, latents, D)
}

/** A map with no formula back: the code at a place is the mean of its eight nearest points. */
export function embedding(
  positions: Float32Array,
  latents: Float32Array,
  D: number,
  nearest: (u: number, v: number, count: number) => number[],
): Plane {
  const toLatent = (u: number, v: number): Float32Array => {
    const z = new Float32Array(D)
    let total = 0
    for (const n of nearest(u, v, 8)) {
      const distance = Math.hypot(positions[2 * n] - u, positions[2 * n + 1] - v)
      const weight = 1 / Math.max(distance, 1e-9)
      total += weight
      for (let d = 0; d < D; d++) z[d] += weight * latents[n * D + d]
    }
    return z.map((value) => value / total)
  }
  return {
    id: 'umap',
    name: 'Neighbour map (UMAP)',
    axes: ['UMAP 1', 'UMAP 2'],
    positions,
    exact: false,
    basis: null,
    toLatent,
    ofLatent: () => null,
  }
}

/** The same planes under codes that have moved; a map with no formula is left out. */
export function relaid(planes: Plane[], { latents, D }: Codes): Plane[] {
  return planes.filter(({ exact }) => exact).map((plane) => {
    const [, i, j] = plane.id.split('-').map(Number)
    if (plane.id === 'latent') return identity(latents)
    if (plane.id === 'line') return line(latents)
    return plane.id === 'pca' || plane.id === 'aligned' ? projected(plane, latents, D) : axes(latents, D, i, j)
  })
}

interface Codes {
  latents: Float32Array
  D: number
}

function projected(plane: Plane, latents: Float32Array, D: number): Plane {
  const positions = new Float32Array((latents.length / D) * 2)
  for (let n = 0; n < latents.length / D; n++)
    positions.set(plane.ofLatent(latents.subarray(n * D, (n + 1) * D))!, 2 * n)
  return { ...plane, positions }
}

/** The plane of a discrete model: a place stands for the code nearest to it; of another, as it is. */
export const snapped = (plane: Plane, codebook: Codebook | null): Plane =>
  codebook
    ? { ...plane, toLatent: (u, v, anchor) => codebook.snap(plane.toLatent(u, v, anchor)) }
    : plane

/** Squared distance of each code from the slice through `on`: |e|² − |Bᵀe|² with e = z − on. */
export function offSlice(latents: Float32Array, on: Float32Array, B: Float32Array): Float32Array {
  const D = on.length
  return Float32Array.from({ length: latents.length / D }, (_, n) => {
    let [whole, across, up] = [0, 0, 0]
    for (let d = 0; d < D; d++) {
      const e = latents[n * D + d] - on[d]
      whole += e * e
      across += B[2 * d] * e
      up += B[2 * d + 1] * e
    }
    return Math.max(whole - across * across - up * up, 0)
  })
}
