import { expect, test } from 'vitest'
import { activeAxes, classCorrelations, localDirections, principal } from '../src/core/local'
import { dot, row, unstack } from '../src/core/rows'
import { normals } from './normals'

const stretched = Float32Array.from(
  unstack(normals(2, 30_000), 3).flatMap(([a, b, c]) => {
    const [u, v] = [3 * a, b]
    return [1 + (u - v) / Math.SQRT2, 2 + (u + v) / Math.SQRT2, 0.1 * c]
  }),
)

test('principal directions of a normal distribution known in advance', () => {
  const { centre, axes, deviations } = principal(stretched, 3)
  ;[1, 2, 0].forEach((value, d) => expect(centre[d]).toBeCloseTo(value, 0))
  ;[3, 1, 0.1].forEach((value, d) => expect(deviations[d]).toBeCloseTo(value, 1))
  expect(axes[0]).toBeCloseTo(Math.SQRT1_2, 1)
  expect(axes[1]).toBeCloseTo(Math.SQRT1_2, 1)
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++)
      expect(dot(row(axes, 3, i), row(axes, 3, j))).toBeCloseTo(Number(i === j), 5)
})

test('local directions turn with the data: on a circle they are tangent', () => {
  const circle = Float32Array.from({ length: 4000 }, (_, i) =>
    (i % 2 ? Math.sin : Math.cos)((Math.floor(i / 2) * Math.PI) / 1000),
  )
  const tangent = row(localDirections(circle, 2, [1, 0]).axes, 2, 0)
  expect(Math.abs(tangent[1])).toBeCloseTo(1, 3)
})

test('class correlations: an axis that is the class, one that is its opposite, one that is noise, one that is flat', () => {
  const labels = Array.from({ length: 2000 }, (_, i) => i % 2)
  const noise = normals(8, 2000)
  const latents = Float32Array.from(labels.flatMap((label, i) => [label, -label, noise[i], 5]))
  const table = unstack(classCorrelations(latents, 4, labels, 2), 2)
  expect(table[0][1]).toBeCloseTo(1, 5)
  expect(table[0][0]).toBeCloseTo(-1, 5)
  expect(table[1][1]).toBeCloseTo(-1, 5)
  expect(Math.abs(table[2][1])).toBeLessThan(0.06)
  expect([...table[3]]).toEqual([0, 0])
})

test('axes in the order of what they carry', () => {
  expect(activeAxes([0.5, 0, 2, 0.009])).toEqual({ active: [2, 0], inactive: [3, 1] })
})
