/**
 * Shortest paths by what is seen: lengths are measured between decoded images.
 *
 * A path through images xᵢ costs Σ ½ (w(zᵢ) + w(zᵢ₊₁)) ‖xᵢ₊₁ − xᵢ‖, and the metric is w(z)² G(z), G = JᵀJ.
 * "Follow the data" is w(z) = 1 + λ max(0, h − log q(z)): each nat by which a place is less likely than a
 * typical code adds λ times the length there. docs/geometry.md has the one definition.
 */

import FlatQueue from 'flatqueue'
import { CholeskyDecomposition, Matrix } from 'ml-matrix'
import { linear, resample } from './paths'
import { distance, row, stack, unstack, type Numbers } from './rows'

/** Values on a regular grid of a window, one per cell centre; row 0 is the top, where y is largest. */
export interface Grid {
  rows: number
  cols: number
  x: readonly [number, number]
  y: readonly [number, number]
}

/** Decodes a table of latents (n, D) to a table of images (n, pixels). */
export type Decode = (latents: Float32Array) => Promise<Float32Array>

/** w(z): 1 where the data are, more elsewhere. */
export type Stretch = (latent: Numbers) => number

/** Where a latent lies on the grid, in cells from the centre of the top left one. */
export const cellAt = (grid: Grid, x: number, y: number): [number, number] => [
  ((x - grid.x[0]) / (grid.x[1] - grid.x[0])) * grid.cols - 0.5,
  ((grid.y[1] - y) / (grid.y[1] - grid.y[0])) * grid.rows - 0.5,
]

/** The centre of a cell, in latent units. */
export const centreOf = (grid: Grid, col: number, line: number): [number, number] => [
  grid.x[0] + ((col + 0.5) / grid.cols) * (grid.x[1] - grid.x[0]),
  grid.y[1] - ((line + 0.5) / grid.rows) * (grid.y[1] - grid.y[0]),
]

const clamp = (value: number, low: number, high: number): number =>
  Math.min(high, Math.max(low, value))

/** The value at a latent, bilinear between cell centres, held at the window's edge beyond it. */
export function sample(grid: Grid, values: Numbers, x: number, y: number): number {
  const at = cellAt(grid, x, y)
  const [col, line] = [clamp(at[0], 0, grid.cols - 1), clamp(at[1], 0, grid.rows - 1)]
  const [left, top] = [
    Math.min(Math.floor(col), grid.cols - 2),
    Math.min(Math.floor(line), grid.rows - 2),
  ]
  const [right, down] = [col - left, line - top]
  const one = (c: number, l: number): number => values[(top + l) * grid.cols + left + c]
  return (
    (1 - down) * ((1 - right) * one(0, 0) + right * one(1, 0)) +
    down * ((1 - right) * one(0, 1) + right * one(1, 1))
  )
}

/** w = 1 + λ max(0, h − log q). */
export const weightOf = (logDensity: number, typical: number, strength: number): number =>
  1 + strength * Math.max(0, typical - logDensity)

/** w(z) where log q is known on a grid. */
export const stretchBy =
  (grid: Grid, logDensity: Numbers, strength: number, typical: number): Stretch =>
  (z) =>
    weightOf(sample(grid, logDensity, z[0], z[1]), typical, strength)

/** A cell's 16 neighbours: the eight around it and the knight's moves, so that most directions are near one. */
const MOVES: readonly (readonly [number, number])[] = [-2, -1, 0, 1, 2].flatMap((c) =>
  [-2, -1, 0, 1, 2].filter((l) => gcd(Math.abs(c), Math.abs(l)) === 1).map((l) => [c, l] as const),
)

function gcd(a: number, b: number): number {
  return b ? gcd(b, a % b) : a
}

/** The cheapest chain of nodes from start to goal (Dijkstra, 1959), or null where there is none. */
export function dijkstra(
  nodes: number,
  start: number,
  goal: number,
  edges: (node: number, visit: (next: number, cost: number) => void) => void,
): { nodes: number[]; cost: number } | null {
  const cost = new Float64Array(nodes).fill(Infinity)
  const before = new Int32Array(nodes).fill(-1)
  const queue = new FlatQueue<number>()
  cost[start] = 0
  queue.push(start, 0)
  for (let reached = queue.peekValue(); queue.length; reached = queue.peekValue()) {
    const node = queue.pop()!
    if (node === goal) return { nodes: trace(before, goal), cost: cost[goal] }
    if (reached! > cost[node]) continue
    edges(node, (next, step) => {
      if (cost[node] + step >= cost[next]) return
      cost[next] = cost[node] + step
      before[next] = node
      queue.push(next, cost[next])
    })
  }
  return null
}

function trace(before: Int32Array, goal: number): number[] {
  const chain = [goal]
  while (before[chain[0]] >= 0) chain.unshift(before[chain[0]])
  return chain
}

/**
 * The shortest path over a grid of metric tensors (G11, G12, G22 per cell), from exactly a to exactly b.
 * A step costs sqrt(dzᵀ G dz) with G and the stretch averaged over its two cells.
 */
export function gridPath(
  grid: Grid,
  metric: Numbers,
  a: Numbers,
  b: Numbers,
  stretch: Stretch = () => 1,
): Float32Array {
  const width = (grid.x[1] - grid.x[0]) / grid.cols
  const height = (grid.y[1] - grid.y[0]) / grid.rows
  const centre = (node: number): [number, number] =>
    centreOf(grid, node % grid.cols, Math.floor(node / grid.cols))
  const stretches = Float64Array.from({ length: grid.rows * grid.cols }, (_, node) =>
    stretch(centre(node)),
  )
  const edges = (node: number, visit: (next: number, cost: number) => void): void => {
    for (const [right, down] of MOVES) {
      const [col, line] = [(node % grid.cols) + right, Math.floor(node / grid.cols) + down]
      if (col < 0 || line < 0 || col >= grid.cols || line >= grid.rows) continue
      const next = line * grid.cols + col
      const mid = (k: number): number => (metric[3 * node + k] + metric[3 * next + k]) / 2
      const [dx, dy] = [right * width, -down * height]
      const square = mid(0) * dx * dx + 2 * mid(1) * dx * dy + mid(2) * dy * dy
      visit(next, Math.sqrt(Math.max(0, square)) * ((stretches[node] + stretches[next]) / 2))
    }
  }
  const nodeAt = (z: Numbers): number => {
    const [col, line] = cellAt(grid, z[0], z[1])
    return (
      clamp(Math.round(line), 0, grid.rows - 1) * grid.cols +
      clamp(Math.round(col), 0, grid.cols - 1)
    )
  }
  const found = dijkstra(grid.rows * grid.cols, nodeAt(a), nodeAt(b), edges)
  const inner = found!.nodes.slice(1, -1).map(centre)
  return stack([a, ...inner, b])
}

/** Nodes and the edges between them, two node numbers each, with the length of the way. */
export interface Graph {
  count: number
  edges: Uint32Array
  lengths: Float32Array
}

/** The shortest chain of nodes over a graph, walked both ways along each edge; null between islands. */
export function graphPath(
  { count, edges, lengths }: Graph,
  start: number,
  goal: number,
  stretch: (node: number) => number = () => 1,
): number[] | null {
  const near: [number, number][][] = Array.from({ length: count }, () => [])
  lengths.forEach((length, edge) => {
    const [from, to] = [edges[2 * edge], edges[2 * edge + 1]]
    const cost = (length * (stretch(from) + stretch(to))) / 2
    near[from].push([to, cost])
    near[to].push([from, cost])
  })
  const found = dijkstra(count, start, goal, (node, visit) =>
    near[node].forEach(([to, cost]) => visit(to, cost)),
  )
  return found && found.nodes
}

/** ½ (w(zᵢ) + w(zᵢ₊₁)) of each step, from w at the points. */
export const between = (weights: Numbers): number[] =>
  Array.from({ length: weights.length - 1 }, (_, i) => (weights[i] + weights[i + 1]) / 2)

/** The cost of each step of a path: of its decoded images, and w at its points. Their sum is the path's. */
export const stepCosts = (frames: Float32Array, pixels: number, weights: Numbers): number[] =>
  between(weights).map(
    (w, i) => w * distance(row(frames, pixels, i), row(frames, pixels, i + 1)),
  )

/** Energy T Σ cost² of a curve of T + 1 decoded points; at its minimum the speed is constant. */
const energy = (frames: Float32Array, pixels: number, weights: Numbers): number =>
  stepCosts(frames, pixels, weights).reduce((sum, cost) => sum + cost * cost, 0) *
  (weights.length - 1)

const weightsAlong = (path: Float32Array, dims: number, stretch: Stretch): number[] =>
  unstack(path, dims).map(stretch)

/** Points at which a path is measured while it is sought, and sine waves that it is made of; as in Python. */
const NODES = 21
const WAVES = 8

export interface Descent {
  /** Points of the curve, ends included. */
  points?: number
  iterations?: number
  stretch?: Stretch
  /** Asked before each iteration; true ends the descent with what it has. */
  stopped?: () => boolean
}

/**
 * A path of lower energy with the same ends: damped Gauss–Newton on the curve energy, every step of
 * which lowers it, over the straight line plus a few sine waves. Derivatives are differences of decoded
 * images, D more decodes per point.
 */
export async function descend(
  start: Float32Array,
  dims: number,
  decode: Decode,
  { points = NODES, iterations = 12, stretch = () => 1, stopped = () => false }: Descent = {},
): Promise<Float32Array> {
  const waves = sineWaves(points, dims)
  let path = smoothed(resample(start, dims, points), dims, waves)
  let frames = await decode(path)
  const pixels = frames.length / points
  let weights = weightsAlong(path, dims, stretch)
  let lowest = energy(frames, pixels, weights)
  let damping = 1e-3
  for (let i = 0; i < iterations && damping < 1e3 && !stopped(); i++) {
    const jacobian = await jacobians(path, dims, frames, pixels, decode)
    const every = normalEquations(path, dims, frames, pixels, jacobian, weights, stretch)
    const system = inWaves(every, waves)
    const before = lowest
    for (let tries = 0; tries < 5; tries++) {
      const trial = moved(path, dims, waves, system, damping)
      const decoded = await decode(trial)
      const trialWeights = weightsAlong(trial, dims, stretch)
      const reached = energy(decoded, pixels, trialWeights)
      if (reached < lowest) {
        ;[path, frames, weights, lowest] = [trial, decoded, trialWeights, reached]
        damping /= 4
        break
      }
      damping *= 8
    }
    if (before - lowest < 1e-5 * before) break
  }
  return path
}

/** The first sine waves at the inner points, orthonormal columns, one for each wave and dimension. */
function sineWaves(points: number, dims: number): Matrix {
  const n = points - 1
  const count = Math.min(WAVES, n - 1)
  const waves = Matrix.zeros((n - 1) * dims, count * dims)
  for (let i = 1; i < n; i++)
    for (let k = 1; k <= count; k++) {
      const value = Math.sqrt(2 / n) * Math.sin((i * k * Math.PI) / n)
      for (let d = 0; d < dims; d++) waves.set((i - 1) * dims + d, (k - 1) * dims + d, value)
    }
  return waves
}

/** The straight line plus what the waves have of a path's bend. */
function smoothed(path: Float32Array, dims: number, waves: Matrix): Float32Array {
  const last = path.length / dims - 1
  const line = linear(row(path, dims, 0), row(path, dims, last), last + 1)
  const inner = Matrix.columnVector(
    Array.from(path.subarray(dims, -dims), (value, i) => value - line[i + dims]),
  )
  const kept = waves.mmul(waves.transpose().mmul(inner)).to1DArray()
  kept.forEach((value, i) => (line[i + dims] += value))
  return line
}

/** Derivatives of each inner point's image along each axis: (T − 2, D, pixels). */
async function jacobians(
  path: Float32Array,
  dims: number,
  frames: Float32Array,
  pixels: number,
  decode: Decode,
): Promise<Float32Array> {
  const inner = path.length / dims - 2
  const delta = 1e-2
  const nudged = new Float32Array(inner * dims * dims)
  for (let i = 0; i < inner * dims; i++) {
    nudged.set(row(path, dims, Math.floor(i / dims) + 1), i * dims)
    nudged[i * dims + (i % dims)] += delta
  }
  const images = await decode(nudged)
  return images.map((value, at) => {
    const point = Math.floor(at / (dims * pixels)) + 1
    return (value - frames[point * pixels + (at % pixels)]) / delta
  })
}

/** Gauss–Newton's matrix and slope for the inner points, in the order of their coordinates. */
interface System {
  matrix: Matrix
  slope: Float64Array
}

function normalEquations(
  path: Float32Array,
  dims: number,
  frames: Float32Array,
  pixels: number,
  jacobian: Float32Array,
  weights: readonly number[],
  stretch: Stretch,
): System {
  const size = path.length - 2 * dims
  const matrix = Matrix.zeros(size, size)
  const slope = new Float64Array(size)
  const column = (i: number): Float32Array => row(jacobian, pixels, i)
  const product = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, value, i) => sum + value * b[i], 0)
  const pieces = between(weights)
  const moves = pieces.map((_, i) =>
    row(frames, pixels, i + 1).map((value, p) => value - frames[i * pixels + p]),
  )
  for (let i = 0; i < size; i++) {
    const point = Math.floor(i / dims)
    const [before, after] = [pieces[point] ** 2, pieces[point + 1] ** 2]
    slope[i] =
      before * product(column(i), moves[point]) - after * product(column(i), moves[point + 1])
    for (let j = point * dims; j < (point + 1) * dims; j++)
      matrix.set(i, j, (before + after) * product(column(i), column(j)))
    for (let j = (point + 1) * dims; j < Math.min(size, (point + 2) * dims); j++) {
      const value = -after * product(column(i), column(j))
      matrix.set(i, j, value)
      matrix.set(j, i, value)
    }
  }
  addStretch(slope, path, dims, pieces, moves, stretch)
  return { matrix, slope }
}

/** The pull of the data: ½ ∂w/∂z at each inner point times cost |Δx| of the two pieces that end there. */
function addStretch(
  slope: Float64Array,
  path: Float32Array,
  dims: number,
  pieces: readonly number[],
  moves: readonly Float32Array[],
  stretch: Stretch,
): void {
  const delta = 1e-3
  const pulls = moves.map(
    (move, i) => pieces[i] * move.reduce((sum, value) => sum + value * value, 0),
  )
  for (let point = 1; point < pieces.length; point++) {
    const z = row(path, dims, point)
    for (let d = 0; d < dims; d++) {
      const [up, down] = [Float32Array.from(z), Float32Array.from(z)]
      up[d] += delta
      down[d] -= delta
      const rise = (stretch(up) - stretch(down)) / (up[d] - down[d])
      slope[(point - 1) * dims + d] += ((pulls[point - 1] + pulls[point]) * rise) / 2
    }
  }
}

/** The same system in the coefficients of the waves. */
function inWaves({ matrix, slope }: System, waves: Matrix): System {
  const across = waves.transpose()
  const product = across.mmul(matrix).mmul(waves)
  return {
    matrix: Matrix.add(product, product.transpose()).mul(0.5), // rounding leaves it not quite symmetric
    slope: Float64Array.from(across.mmul(Matrix.columnVector(slope)).to1DArray()),
  }
}

/** The path after one damped step. */
function moved(
  path: Float32Array,
  dims: number,
  waves: Matrix,
  { matrix, slope }: System,
  damping: number,
): Float32Array {
  const damped = matrix.clone()
  const floor = matrix.trace() / matrix.rows
  for (let i = 0; i < matrix.rows; i++)
    damped.set(i, i, matrix.get(i, i) * (1 + damping) + floor * 1e-6 + floor * damping * 1e-2)
  const step = new CholeskyDecomposition(damped).solve(Matrix.columnVector(slope))
  const next = path.slice()
  waves
    .mmul(step)
    .to1DArray()
    .forEach((value, i) => (next[i + dims] -= value))
  return next
}
