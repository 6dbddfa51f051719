/** What a chosen set of latents is: who is in it, its middle, its spread, and samples like it. */

import { CholeskyDecomposition } from 'ml-matrix'
import { moments, variances } from './moments'
import {
  along,
  distance,
  dot,
  mean,
  norm,
  row,
  squaredDistance,
  stack,
  subtract,
  take,
  type Numbers,
} from './rows'
import { standardNormal } from './random'
import { uniforms } from './seeded'

/** A region the user named. Its strokes are outlines on the map named by `map` ("latent", "pca", "umap", "axes-0-1"). */
export interface Region<Stroke = unknown> {
  name: string
  map: string
  strokes: Stroke[]
}

export interface Statistics {
  count: number
  /** Points of each class, the most frequent first, those that occur. */
  classes: { label: number; count: number }[]
  centroid: Float32Array
  /** Point number of the member nearest to the centroid. */
  medoid: number
  /** Root of the mean squared distance from the centroid, over the root of D: 1 for the standard normal. */
  spread: number
  /** Point numbers of the members farthest from the centroid in units of the region's own spread along each axis. */
  atypical: number[]
}

/** Statistics of the points chosen; null where there are none. */
export function statistics(
  latents: Float32Array,
  dims: number,
  members: Uint32Array,
  labels?: Numbers,
  atypical = 6,
): Statistics | null {
  if (!members.length) return null
  const rows = take(latents, dims, members)
  const centroid = mean(rows, dims)
  const scale = variances(rows, dims, centroid).map(Math.sqrt)
  const squares = Array.from(members, (_, i) => squaredDistance(row(rows, dims, i), centroid))
  const odd = Array.from(members, (_, i) =>
    norm(subtract(row(rows, dims, i), centroid).map((v, d) => v / (scale[d] || 1))),
  )
  return {
    count: members.length,
    classes: histogram(members, labels),
    centroid,
    medoid: members[squares.indexOf(squares.reduce((a, b) => Math.min(a, b)))],
    spread: Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / rows.length),
    atypical: rank(odd)
      .slice(0, atypical)
      .map((i) => members[i]),
  }
}

/** Numbers of the entries, largest first. */
const rank = (values: readonly number[]): number[] =>
  values.map((_, i) => i).sort((a, b) => values[b] - values[a])

/** How often each label occurs among the members, the most frequent first. */
export function histogram(members: Numbers, labels?: Numbers): { label: number; count: number }[] {
  const counts = new Map<number, number>()
  for (let i = 0; labels && i < members.length; i++) {
    const label = labels[members[i]]
    counts.set(label, (counts.get(label) ?? 0) + 1)
  }
  return [...counts]
    .map(([label, count]) => ({ label, count }))
    .sort((a, b) => b.count - a.count || a.label - b.label)
}

/** A normal distribution: its mean and the lower Cholesky factor of its covariance. */
export interface Gaussian {
  mean: Float32Array
  factor: Float32Array
}

/** The normal distribution fitted to rows by moments; a flat direction keeps a hair of width. */
export function fit(rows: Float32Array, dims: number): Gaussian {
  const { centre, covariance } = moments(rows, dims)
  for (let a = 0; a < dims; a++) covariance.set(a, a, covariance.get(a, a) + 1e-8)
  return {
    mean: centre,
    factor: Float32Array.from(
      new CholeskyDecomposition(covariance).lowerTriangularMatrix.to1DArray(),
    ),
  }
}

/** Samples of a fitted normal distribution: mean + L ε. */
export function sampleGaussian(
  { mean: centre, factor }: Gaussian,
  seed: number,
  count: number,
): Float32Array {
  const dims = centre.length
  const noise = standardNormal(count, dims, uniforms(seed))
  return stack(
    Array.from({ length: count }, (_, i) =>
      centre.map((value, d) => value + dot(row(factor, dims, d), row(noise, dims, i))),
    ),
  )
}

/** Mean image of the members' own images (M, pixels). */
export const meanImage = mean

/** The way from region A to region B: the difference of their centroids (Radford et al., 2016). */
export const difference = (a: Statistics, b: Statistics): Float32Array =>
  subtract(b.centroid, a.centroid)

/** A latent moved by a share of a difference vector: 0 leaves it, 1 applies the whole of it. */
export const moveAlong = along

/** How far apart two regions are in units of their joint spread: above about 2 they hardly overlap. */
export const separation = (a: Statistics, b: Statistics): number =>
  distance(a.centroid, b.centroid) / (Math.sqrt((a.spread ** 2 + b.spread ** 2) / 2) || 1)
