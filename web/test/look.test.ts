import { expect, test } from 'vitest'
import { graded, lookOf, type Raster } from '../src/core/look'
import { inverted, prepare } from '../src/core/picture'

const image = (size: number, value: (x: number, y: number) => number): Float32Array =>
  Float32Array.from({ length: size * size }, (_, i) => value(i % size, Math.floor(i / size)))
const raster = (size: number, data: Float32Array): Raster => ({ channels: 1, height: size, width: size, data })
const radius = (x: number, y: number, middle = 14): number => Math.hypot(x - middle, y - middle)

const discs = [0.5, 0.6, 0.7].map((level) => image(28, (x, y) => (radius(x, y) < 9 ? level : 0)))
const rings = [7, 8, 9].map((r) => image(28, (x, y) => (Math.abs(radius(x, y) - r) < 1.5 ? 1 : 0)))
const outline = image(224, (x, y) => (Math.abs(radius(x, y, 112) - 80) < 8 ? 1 : 0))

test('filled shapes and strokes, their level and their ground are told apart', () => {
  expect(lookOf(discs, 28, 28)).toEqual({ bright: false, solid: true, level: expect.closeTo(0.6, 5) })
  expect(lookOf(rings, 28, 28)).toEqual({ bright: false, solid: false, level: 1 })
  const paper = discs.map((disc) => disc.map((value) => 1 - value))
  expect(lookOf(paper, 28, 28)).toEqual({ bright: true, solid: true, level: expect.closeTo(0.6, 5) })
})

test('an outline is filled where the set has filled shapes, and only there', () => {
  const at = (r: Raster, x: number, y: number): number => r.data[y * 224 + x]
  const shape = graded(raster(224, outline), lookOf(discs, 28, 28))
  expect(at(shape, 112, 112)).toBeCloseTo(0.6, 5)
  expect(at(shape, 112, 32)).toBeCloseTo(0.6, 5)
  expect(at(shape, 10, 10)).toBe(0)
  const stroke = graded(raster(224, outline), lookOf(rings, 28, 28))
  expect([at(stroke, 112, 112), at(stroke, 112, 32)]).toEqual([0, 1])
})

test('a small gap in an outline is closed, a wide one is not', () => {
  const broken = (gap: number): number => {
    const drawn = outline.map((value, i) => (Math.abs((i % 224) - 112) < gap / 2 && i < 224 * 112 ? 0 : value))
    return graded(raster(224, drawn), lookOf(discs, 28, 28)).data[112 * 224 + 112]
  }
  expect(broken(6)).toBeCloseTo(0.6, 5)
  expect(broken(40)).toBe(0)
})

test('a picture on paper stays as it is where the set is dark marks on white', () => {
  const paper = discs.map((disc) => disc.map((value) => 1 - value))
  const look = { ...lookOf(paper, 28, 28), background: 'bright' as const }
  const steps = { greyscale: true, invert: null, crop: false }
  const kept = prepare(raster(28, paper[0]), [1, 28, 28], steps, look)
  expect(kept.find(({ name }) => name === 'inverted')!.applied).toBe(false)
  kept.at(-1)!.raster.data.forEach((value, i) => expect(value).toBeCloseTo(paper[0][i], 5))
  const turned = prepare(inverted(raster(28, paper[0])), [1, 28, 28], steps, look)
  expect(turned.find(({ name }) => name === 'inverted')!.applied).toBe(true)
  turned.at(-1)!.raster.data.forEach((value, i) => expect(value).toBeCloseTo(paper[0][i], 5))
})
