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
const stay = (): number => 1

test('the way leads along the data, from exactly a to exactly b', async () => {
  const [a, b] = [Float32Array.of(1.1, -0.1, 0), Float32Array.of(-1.1, -0.1, 0)]
  const path = unstack((await knn.path(a, b, decode, stay))!, 3)
  expect([...path[0]]).toEqual([...a])
  expect([...path.at(-1)!]).toEqual([...b])
  expect(path.slice(1, -1).every((z) => Math.abs(Math.hypot(z[0], z[1]) - 1) < 1e-6)).toBe(true)
  expect(Math.max(...path.map((z) => z[1]))).toBeGreaterThan(0.99)
})

test('between islands there is no way', async () => {
  const cut = { edges: graph.edges.slice(0, 38), lengths: graph.lengths.slice(0, 19) }
  const [a, b] = [Float32Array.of(1, 0, 0), Float32Array.of(-1, 0, 0)]
  expect(await new Knn(nodes, 3, cut).path(a, b, decode, stay)).toBeNull()
})

test('where the data are the way is as it is; D nats of emptiness cost λ D times as much more', () => {
  const stretch = knn.stretch(0.5)
  expect(stretch(nodes.subarray(60, 63))).toBeCloseTo(1, 1)
  expect(knn.stretch(0)(Float32Array.of(9, 9, 9))).toBe(1)
  const [near, far] = [stretch(Float32Array.of(0, 0, 100)), stretch(Float32Array.of(0, 0, 100 * Math.E))]
  expect(far - near).toBeCloseTo(0.5 * 3, 2)
})
