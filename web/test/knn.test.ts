import { expect, test } from 'vitest'
import { Knn } from '../src/core/knn'
import { unstack } from '../src/core/rows'

// Nodes along an arch in three dimensions; the decoder shows where they are.
const arch = Array.from({ length: 40 }, (_, i) => {
  const angle = (Math.PI * i) / 39
  return [Math.cos(angle), Math.sin(angle), 0]
})
const edges = Array.from({ length: 39 }, (_, i) => [i, i + 1]).flat()
const step = Math.hypot(arch[1][0] - arch[0][0], arch[1][1] - arch[0][1])
const nodes = Float32Array.from(arch.flat())
const graph = { edges: Uint32Array.from(edges), lengths: new Float32Array(39).fill(step) }
const knn = new Knn(nodes, 3, graph)
const decode = async (z: Float32Array): Promise<Float32Array> => z

test('the way leads along the data, from exactly a to exactly b', async () => {
  const [a, b] = [Float32Array.of(1.1, -0.1, 0), Float32Array.of(-1.1, -0.1, 0)]
  const path = unstack((await knn.path(a, b, decode))!, 3)
  expect([...path[0]]).toEqual([...a])
  expect([...path.at(-1)!]).toEqual([...b])
  expect(path.slice(1, -1).every((z) => Math.abs(Math.hypot(z[0], z[1]) - 1) < 1e-6)).toBe(true)
  expect(Math.max(...path.map((z) => z[1]))).toBeGreaterThan(0.99)
})

test('between islands there is no way', async () => {
  const cut = { edges: graph.edges.slice(0, 38), lengths: graph.lengths.slice(0, 19) }
  const [a, b] = [Float32Array.of(1, 0, 0), Float32Array.of(-1, 0, 0)]
  expect(await new Knn(nodes, 3, cut).path(a, b, decode)).toBeNull()
})

test('with λ the way avoids nodes that are less likely than a typical code', async () => {
  // A shortcut through one node in the middle, which is 20 nats less likely.
  const middle = Float32Array.from([...nodes, 0, 0.1, 0])
  const wide = {
    edges: Uint32Array.from([...edges, 0, 40, 40, 39]),
    lengths: Float32Array.from([...graph.lengths, 1, 1]),
  }
  const logs = Float32Array.from({ length: 41 }, (_, i) => (i < 40 ? 0 : -20))
  const weighted = new Knn(middle, 3, wide, { logs, typical: 0 })
  const [a, b] = [Float32Array.of(1.05, -0.05, 0), Float32Array.of(-1.05, -0.05, 0)]
  const top = async (strength: number): Promise<number> =>
    Math.max(...unstack((await weighted.path(a, b, decode, strength))!, 3).map((z) => z[1]))
  expect(await top(0)).toBeLessThan(0.2)
  expect(await top(0.1)).toBeGreaterThan(0.99)
})
