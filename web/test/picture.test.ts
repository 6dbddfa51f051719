import { expect, test } from 'vitest'
import { mse } from '../src/core/difference'
import {
  brightBorder,
  cropped,
  framed,
  fromRGBA,
  greyscale,
  inverted,
  percentile,
  prepare,
  resized,
  type Raster,
} from '../src/core/picture'

const grey = (height: number, width: number, f: (x: number, y: number) => number): Raster => ({
  channels: 1,
  height,
  width,
  data: Float32Array.from({ length: height * width }, (_, i) =>
    f(i % width, Math.floor(i / width)),
  ),
})
const on = { greyscale: true, invert: null, crop: true }

test('RGBA is laid on white paper', () => {
  const { data } = fromRGBA([255, 0, 0, 255, 0, 0, 0, 0], 2, 1)
  expect([...data]).toEqual([1, 1, 0, 1, 0, 1])
})

test('greyscale weighs the colours as Pillow does', () => {
  expect(
    greyscale({ channels: 3, height: 1, width: 1, data: Float32Array.of(1, 0, 0) }).data[0],
  ).toBeCloseTo(0.299, 6)
  expect(
    greyscale({ channels: 3, height: 1, width: 1, data: Float32Array.of(1, 1, 1) }).data[0],
  ).toBeCloseTo(1, 6)
})

test('the border decides about the ink', () => {
  const paper = grey(9, 9, (x, y) => (x === 4 && y === 4 ? 0 : 1))
  expect(brightBorder(paper)).toBe(true)
  expect(brightBorder(inverted(paper))).toBe(false)
})

test('cropping takes the ink and frames it in the shape asked for', () => {
  const bar = grey(20, 30, (x, y) => (x >= 10 && x < 18 && y >= 5 && y < 9 ? 1 : 0.02))
  const { width, height, data } = cropped(bar)
  expect([width, height]).toEqual([8, 8])
  expect(data.reduce((sum, value) => sum + value, 0)).toBe(32)
  expect([...data.subarray(0, 16)]).toEqual(Array(16).fill(0))
  expect(cropped(grey(4, 4, () => 0)).width).toBe(4)
})

test('the area filter keeps the mean and averages exactly', () => {
  const noise = grey(30, 21, (x, y) => Math.abs(Math.sin(x * 7 + y * y)))
  const mean = (r: Raster): number => r.data.reduce((sum, v) => sum + v, 0) / r.data.length
  expect(mean(resized(noise, 7, 5))).toBeCloseTo(mean(noise), 6)
  const halves = resized(
    grey(2, 4, (x, y) => x + 4 * y),
    1,
    2,
  )
  expect([...halves.data]).toEqual([(0 + 1 + 4 + 5) / 4, (2 + 3 + 6 + 7) / 4])
  expect(
    [
      ...resized(
        grey(1, 3, (x) => x),
        1,
        2,
      ).data,
    ].map((v) => Math.round(v * 1e6) / 1e6),
  ).toEqual([0.333333, 1.666667])
  expect(resized(noise, 30, 21).data).toEqual(noise.data)
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
