import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  centreOf,
  descend,
  dijkstra,
  graphPath,
  gridPath,
  sample,
  stretchBy,
  stepCosts,
  weightOf,
  type Decode,
  type Grid,
} from '../src/core/geodesic'
import { length, linear, steps } from '../src/core/paths'
import { distance, unstack, type Numbers } from '../src/core/rows'

const grid: Grid = { rows: 64, cols: 64, x: [-2, 2], y: [-1, 3] }
const cells = Array.from({ length: 64 * 64 }, (_, i) => centreOf(grid, i % 64, Math.floor(i / 64)))
const decodeBy =
  (image: (z: Float32Array) => number[], dims = 2): Decode =>
  async (latents) =>
    Float32Array.from(unstack(latents, dims).flatMap(image))

const sphere = ([lon, lat]: Numbers & Iterable<number>): number[] => [
  Math.cos(lat!) * Math.cos(lon!),
  Math.cos(lat!) * Math.sin(lon!),
  Math.sin(lat!),
]

test('a grid is read where its cells are, top row first, and is linear between them', () => {
  expect(cells[0]).toEqual([-2 + 2 / 64, 3 - 2 / 64])
  const values = cells.map(([x, y]) => 3 * x - 2 * y)
  expect(sample(grid, values, 0.123, 1.7)).toBeCloseTo(3 * 0.123 - 3.4, 9)
  expect(sample(grid, values, 99, 99)).toBeCloseTo(3 * (2 - 2 / 64) - 2 * (3 - 2 / 64), 9)
})

test('Dijkstra finds the cheap way round and says when there is none', () => {
  const edges: Record<number, [number, number][]> = {
    0: [
      [1, 10],
      [2, 1],
    ],
    2: [[3, 1]],
    3: [[1, 1]],
  }
  const found = (goal: number) =>
    dijkstra(5, 0, goal, (node, visit) => edges[node]?.forEach(([to, cost]) => visit(to, cost)))
  expect(found(1)).toEqual({ nodes: [0, 2, 3, 1], cost: 3 })
  expect(found(4)).toBeNull()
  expect(found(0)).toEqual({ nodes: [0], cost: 0 })
})

test('t33: over a constant metric the grid path is straight, up to the directions a grid has', () => {
  const metric = cells.flatMap(() => [4, 0, 4])
  const [a, b] = [
    [-1.5, -0.5],
    [1.4, 2.3],
  ]
  const path = gridPath(grid, metric, a, b)
  expect([...path.subarray(0, 2)]).toEqual([...Float32Array.from(a)])
  expect([...path.subarray(-2)]).toEqual([...Float32Array.from(b)])
  expect(length(path, 2)).toBeLessThan(1.03 * distance(a, b))
})

test('the grid path goes round what is expensive', () => {
  const wall = ([x, y]: [number, number]): boolean => Math.abs(x) < 0.2 && y < 2
  const metric = cells.flatMap((z) => (wall(z) ? [1e6, 0, 1e6] : [1, 0, 1]))
  const path = gridPath(grid, metric, [-1, 0], [1, 0])
  expect(Math.max(...unstack(path, 2).map((z) => z[1]))).toBeGreaterThan(2)
})

test('a metric that shears makes the diagonal cheap with the right sign of y', () => {
  const metric = cells.flatMap(() => [1, -0.999, 1])
  const up = gridPath(grid, metric, [-1, 0], [1, 2])
  unstack(up, 2)
    .slice(1, -1)
    .forEach((z) => expect(z[1] - z[0]).toBeCloseTo(1, 0))
})

test('a weight is 1 where a place is as likely as a typical code, and λ more for each nat below', () => {
  const stretch = stretchBy(
    grid,
    cells.map(([x]) => x),
    2,
    0.5,
  )
  expect([stretch([1, 0]), stretch([-0.5, 0])].map((w) => Math.round(w * 1e6) / 1e6)).toEqual([
    1, 3,
  ])
})

test('weights and the cost of a path are those of Python, on the same values', () => {
  // tests/geometry/test_density.py computes the same file's numbers with AggregateDensity and step_costs.
  const given = JSON.parse(readFileSync(new URL('pathcost.json', import.meta.url), 'utf8'))
  const weights = given.log_q.map((q: number) => weightOf(q, given.typical, given.strength))
  weights.forEach((w: number, i: number) => expect(w).toBeCloseTo(given.weights[i], 5))
  const costs = stepCosts(Float32Array.from(given.images.flat()), given.images[0].length, weights)
  costs.forEach((cost, i) => expect(cost).toBeCloseTo(given.costs[i], 5))
  expect(Math.max(...weights)).toBeGreaterThan(2)
})

test('following the data bends the path to where they are', () => {
  const metric = cells.flatMap(() => [1, 0, 1])
  const density = cells.map(([x, y]) => -8 * (Math.hypot(x, y) - 1) ** 2)
  const top = (weight: number): number =>
    Math.max(
      ...unstack(
        gridPath(grid, metric, [-1, 0], [1, 0], stretchBy(grid, density, weight, 0)),
        2,
      ).map((z) => Math.abs(z[1])),
    )
  expect(top(0)).toBeLessThan(0.1)
  expect(top(2)).toBeGreaterThan(0.7)
})

test('t33: a linear decoder has straight geodesics of constant speed', async () => {
  const decode = decodeBy(([x, y]) => [2 * x!, x! + y!, 3 * y!])
  const bent = Float32Array.of(0, 0, 0.2, 1.5, 1, 1)
  const path = await descend(bent, 2, decode, { points: 9 })
  linear([0, 0], [1, 1], 9).forEach((value, i) => expect(path[i]).toBeCloseTo(value, 3))
})

test('t33: on a sphere the geodesic is the great circle', async () => {
  const [a, b] = [Float32Array.of(-0.8, 0.9), Float32Array.of(0.8, 0.9)]
  const path = await descend(linear(a, b, 33), 2, decodeBy(sphere), { points: 33, iterations: 30 })
  const frames = Float32Array.from(unstack(path, 2).flatMap(sphere))
  const angle = 2 * Math.asin(distance(sphere(a), sphere(b)) / 2)
  expect(length(frames, 3)).toBeCloseTo(angle, 3)
  expect(length(frames, 3)).toBeLessThan(0.95 * 1.6 * Math.cos(0.9))
  const speed = steps(frames, 3)
  expect(Math.max(...speed) / Math.min(...speed)).toBeLessThan(1.02)
  expect([...path.subarray(0, 2), ...path.subarray(-2)]).toEqual([...a, ...b])
})

test('on a cylinder the geodesic is the straight line unrolled, in more than two dimensions too', async () => {
  const decode = decodeBy(([u, v, w]) => [Math.cos(u!), Math.sin(u!), v!, 2 * w!], 3)
  const bent = Float32Array.of(0, 0, 0, 0.1, 0.9, 0.5, 1, 1, 0.2)
  const path = await descend(bent, 3, decode, { points: 17, iterations: 30 })
  linear([0, 0, 0], [1, 1, 0.2], 17).forEach((value, i) => expect(path[i]).toBeCloseTo(value, 2))
})

test('descent follows the data too', async () => {
  const density = cells.map(([x, y]) => -4 * (Math.hypot(x, y) - 1) ** 2)
  const flat = decodeBy(([x, y]) => [x!, y!])
  const start = Float32Array.of(-1, 0, 0, 0.5, 1, 0)
  const path = await descend(start, 2, flat, {
    points: 33,
    iterations: 40,
    stretch: stretchBy(grid, density, 3, 0),
  })
  const radii = unstack(path, 2).map((z) => Math.hypot(z[0], z[1]))
  expect(Math.min(...radii)).toBeGreaterThan(0.8)
})

test('a stopped descent returns what it has', async () => {
  const start = Float32Array.of(0, 0, 1, 1, 2, 0)
  const path = await descend(
    start,
    2,
    decodeBy(([x, y]) => [x!, y!]),
    { points: 5, stopped: () => true },
  )
  expect(path).toHaveLength(10)
  expect(path[5]).toBeGreaterThan(0.9)
})

test('the graph path takes the edges both ways and knows islands', () => {
  const graph = {
    count: 4,
    edges: Uint32Array.of(1, 0, 2, 1, 3, 3),
    lengths: Float32Array.of(1, 5, 1),
  }
  expect(graphPath(graph, 0, 2)).toEqual([0, 1, 2])
  expect(graphPath(graph, 0, 3)).toBeNull()
})
