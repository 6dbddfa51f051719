import { expect, test } from 'vitest'
import { mse } from '../src/core/difference'
import {
  cropped,
  fitted,
  framed,
  fromRGBA,
  greyscale,
  inverted,
  percentile,
  prepare,
  resized,
  type Raster,
} from '../src/core/picture'
import { borderTone } from '../src/core/look'

const grey = (height: number, width: number, f: (x: number, y: number) => number): Raster => ({
  channels: 1,
  height,
  width,
  data: Float32Array.from({ length: height * width }, (_, i) =>
    f(i % width, Math.floor(i / width)),
  ),
})
const on = { greyscale: true, invert: null, crop: false }

test('transparent pixels get the backdrop of the set, else white, or black behind white ink', () => {
  const red = [255, 0, 0, 255, 0, 0, 0, 0]
  const white = [255, 255, 255, 255, 0, 0, 0, 0]
  const laid = (bytes: number[], backdrop?: number | null) => [...fromRGBA(bytes, 2, 1, backdrop).data]
  expect(laid(red)).toEqual([1, 1, 0, 1, 0, 1])
  expect(laid(red, 0)).toEqual([1, 0, 0, 0, 0, 0])
  expect(laid(white)).toEqual([1, 0, 1, 0, 1, 0])
  expect(laid(white, 255)).toEqual([1, 1, 1, 1, 1, 1])
})

test('greyscale weighs the colours as Pillow does', () => {
  expect(
    greyscale({ channels: 3, height: 1, width: 1, data: Float32Array.of(1, 0, 0) }).data[0],
  ).toBeCloseTo(0.299, 6)
  expect(
    greyscale({ channels: 3, height: 1, width: 1, data: Float32Array.of(1, 1, 1) }).data[0],
  ).toBeCloseTo(1, 6)
})

test('the median of the border decides, not its mean', () => {
  const paper = grey(9, 9, (x, y) => (x === 4 && y === 4 ? 0 : 1))
  expect(borderTone(paper)).toBe(1)
  // a bright thing over a part of a grey border: mean 0.61, median 0.4
  const cut = grey(10, 10, (x) => (x < 2 ? 1 : 0.4))
  expect(borderTone(cut)).toBeCloseTo(0.4, 6)
  const look = { bright: false, solid: false, level: 1, background: 'dark' as const }
  expect(prepare(cut, [1, 10, 10], on, look)[2].applied).toBe(false)
})

test('cropping takes the ink and frames it in the shape asked for', () => {
  const bar = grey(20, 30, (x, y) => (x >= 10 && x < 18 && y >= 5 && y < 9 ? 1 : 0.02))
  const { width, height, data } = cropped(bar)
  expect([width, height]).toEqual([8, 8])
  expect(data.reduce((sum, value) => sum + value, 0)).toBe(32)
  expect([...data.subarray(0, 16)]).toEqual(Array(16).fill(0))
  expect(cropped(grey(4, 4, () => 0)).width).toBe(4)
})

test('a picture is fitted as Pillow and data/picture.py do it', () => {
  const wave = grey(7, 9, (x, y) => ((x * 37 + y * y * 11) % 256) / 255)
  const bytes = (raster: Raster): number[][] =>
    Array.from({ length: raster.height }, (_, y) =>
      Array.from(raster.data.subarray(y * raster.width, (y + 1) * raster.width), (v) => Math.round(255 * v)),
    )
  // vaescape.data.picture.prepare(Image.fromarray(wave), (1, 4, 4)), and of its five columns
  const wide = [[45, 120, 171, 64], [125, 158, 122, 109], [127, 143, 134, 127], [125, 125, 125, 125]]
  const tall = [[23, 81, 139, 122], [69, 127, 185, 122], [139, 167, 122, 122], [106, 161, 133, 122]]
  const near = (found: number[][], expected: number[][]): void =>
    found.flat().forEach((value, i) => expect(Math.abs(value - expected.flat()[i])).toBeLessThanOrEqual(1))
  near(bytes(fitted(wave, 4, 4)), wide)
  near(bytes(fitted(grey(7, 5, (x, y) => ((x * 37 + y * y * 11) % 256) / 255), 4, 4)), tall)
  expect(resized(wave, 7, 9).data).toEqual(wave.data)
})

test('channels stay apart when resized and framed', () => {
  const colour: Raster = {
    channels: 3,
    height: 2,
    width: 2,
    data: Float32Array.of(1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2),
  }
  expect([...resized(colour, 1, 1).data]).toEqual([1, 0, 2])
  expect([...framed(colour, 2).data.subarray(0, 8)]).toEqual([0, 1, 1, 0, 0, 1, 1, 0])
})

test('a dark drawing on paper and a bright one on black become the same image', () => {
  const dark = grey(50, 50, (x, y) => (Math.hypot(x - 30, y - 20) < 8 ? 0 : 1))
  const [a, b] = [dark, inverted(dark)].map((r) => prepare(r, [1, 28, 28], on))
  expect(a.map((stage) => stage.name)).toEqual([
    'picture',
    'greyscale',
    'inverted',
    'cropped',
    'resized',
  ])
  expect(a[2].applied).toBe(true)
  expect(b[2].applied).toBe(false)
  expect(mse(a[4].raster.data, b[4].raster.data)).toBeLessThan(1e-12)
  expect(a[4].raster).toMatchObject({ channels: 1, height: 28, width: 28 })
})

test('light and dark are exchanged only where the set has the other background', () => {
  const paper = grey(50, 50, (x, y) => (Math.hypot(x - 30, y - 20) < 8 ? 0 : 1))
  const usual = { bright: false, solid: false, level: 1 }
  const turned = (raster: Raster, background: 'dark' | 'bright' | null) =>
    prepare(raster, [1, 28, 28], { ...on, crop: false }, { ...usual, bright: background === 'bright', background })[2]
      .applied
  expect([turned(paper, 'dark'), turned(paper, 'bright'), turned(paper, null)]).toEqual([true, false, false])
  const board = inverted(paper)
  expect([turned(board, 'dark'), turned(board, 'bright'), turned(board, null)]).toEqual([false, true, false])
})

test('every step can be switched off', () => {
  const dark = grey(50, 40, (x) => (x < 10 ? 0 : 1))
  const stages = prepare(dark, [1, 28, 28], { greyscale: false, invert: false, crop: false })
  expect(stages.map((stage) => stage.applied)).toEqual([true, false, false, false, true])
  expect(stages[4].raster.data).toHaveLength(28 * 28)
  const colour = fromRGBA(
    Array.from({ length: 400 }, (_, i) => i % 256),
    10,
    10,
  )
  expect(
    prepare(colour, [1, 8, 8], { greyscale: false, invert: null, crop: true })[4].raster.data,
  ).toHaveLength(64)
})

test('a colour model gets colours, not inverted unless asked', () => {
  const white = fromRGBA(Array(400).fill(255), 10, 10)
  const stages = prepare(white, [3, 4, 4], { greyscale: true, invert: null, crop: false })
  expect(stages.map((stage) => stage.name)).not.toContain('greyscale')
  expect([...stages.at(-1)!.raster.data]).toEqual(Array(48).fill(1))
})

test('percentiles are straight between their marks', () => {
  const marks = Array.from({ length: 101 }, (_, i) => i * 2)
  expect([-1, 0, 3, 100, 200, 999].map((v) => percentile(marks, v))).toEqual([
    0, 0, 1.5, 50, 100, 100,
  ])
  expect(percentile(Array(101).fill(5), 5)).toBe(100)
  expect(percentile(marks, NaN)).toBe(0)
})
