/** Quantities over a window of the plane, on a regular grid whose first row is the top. */

import { contours } from 'd3-contour'
import type { Box, Point } from './view'

export interface Grid {
  columns: number
  rows: number
  values: Float32Array
  box: Box
}

/** √det G of the pull-back metric, given G11, G12, G22 at each place. */
export function volume(metric: Float32Array): Float32Array {
  return Float32Array.from({ length: metric.length / 3 }, (_, i) => {
    const [a, b, c] = metric.subarray(3 * i, 3 * i + 3)
    return Math.sqrt(Math.max(a * c - b * b, 0))
  })
}

/** How many of the chosen points fall into each cell. */
export function histogram(
  positions: Float32Array,
  box: Box,
  side: number,
  keep: (index: number) => boolean,
): Grid {
  const values = new Float32Array(side * side)
  for (let n = 0; n < positions.length / 2; n++) {
    const column = cellOf(positions[2 * n], box.x, side)
    const row = side - 1 - cellOf(positions[2 * n + 1], box.y, side)
    if (column >= 0 && column < side && row >= 0 && row < side && keep(n)) values[row * side + column]++
  }
  return { columns: side, rows: side, values, box }
}

const cellOf = (value: number, [lo, hi]: Point, side: number): number =>
  Math.floor(((value - lo) / (hi - lo)) * side)

/** The grid convolved with a Gaussian of so many cells, in both directions. */
export function smooth(grid: Grid, sigma: number): Grid {
  const { rows, columns } = grid
  const once = along(grid.values, rows, columns, columns, 1, sigma)
  return { ...grid, values: along(once, columns, rows, 1, columns, sigma) }
}

/** One pass: `lines` lines, `line` apart, of `length` numbers, `step` apart. */
function along(
  values: Float32Array,
  lines: number,
  length: number,
  line: number,
  step: number,
  sigma: number,
): Float32Array {
  const reach = Math.ceil(3 * sigma)
  const weights = Float32Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  )
  const total = weights.reduce((sum, weight) => sum + weight)
  const out = new Float32Array(values.length)
  for (let l = 0; l < lines; l++)
    for (let n = 0; n < length; n++) {
      let sum = 0
      for (let k = Math.max(-reach, -n); k <= Math.min(reach, length - 1 - n); k++)
        sum += weights[k + reach] * values[l * line + (n + k) * step]
      out[l * line + n * step] = sum / total
    }
  return out
}

/** The level above which lies so much of the grid's mass: the outline of that share of the data. */
export function massLevel(values: Float32Array, share: number): number {
  const sorted = values.slice().sort().reverse()
  const total = sorted.reduce((sum, value) => sum + value, 0)
  let mass = 0
  for (const value of sorted) {
    mass += value
    if (mass >= share * total) return value
  }
  return 0
}

/** Outlines of the grid at the level, as rings of plane coordinates. */
export function outlines(grid: Grid, level: number): Point[][] {
  const { columns, rows, box } = grid
  const [shape] = contours().size([columns, rows]).thresholds([level])(Array.from(grid.values))
  const u = (x: number): number => box.x[0] + (x / columns) * (box.x[1] - box.x[0])
  const v = (y: number): number => box.y[1] - (y / rows) * (box.y[1] - box.y[0])
  return shape.coordinates.flat().map((ring) => ring.map(([x, y]) => [u(x), v(y)] as Point))
}

/** Least and greatest of the finite numbers but for 1 % on either side. */
export function range(values: Float32Array): Point {
  const sorted = values.filter(Number.isFinite).sort()
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0
  return [at(0.01), at(0.99)]
}
