import { expect, test } from 'vitest'
import {
  begin,
  commit,
  indices,
  rasterise,
  rectangle,
  redo,
  selected,
  simplified,
  undo,
  within,
  type Point,
} from '../src/core/lasso'
import { normals } from './normals'

const circle = (x: number, y: number, radius: number): Point[] =>
  Array.from({ length: 200 }, (_, i) => [
    x + radius * Math.cos((i * Math.PI) / 100),
    y + radius * Math.sin((i * Math.PI) / 100),
  ])

test('a rectangle fills exactly its cells', () => {
  const { inside } = rasterise(rectangle([1, 1], [3, 4]), 5, 5)
  expect(
    Array.from(inside.entries())
      .filter(([, one]) => one)
      .map(([i]) => i),
  ).toEqual([6, 7, 11, 12, 16, 17])
})

test('the area of a filled circle is that of a circle', () => {
  const { inside } = rasterise(circle(200, 200, 150), 400, 400)
  expect(inside.reduce((sum, one) => sum + one, 0) / (Math.PI * 150 ** 2)).toBeCloseTo(1, 2)
})

test('an outline that leaves the mask is cut at its edge', () => {
  const { inside } = rasterise(rectangle([-9, -9], [99, 1]), 3, 2)
  expect([...inside]).toEqual([1, 1, 1, 0, 0, 0])
})

test('what a loop encloses twice is still enclosed', () => {
  const star = [0, 2, 4, 1, 3].map((i): Point => [
    50 + 40 * Math.sin((i * 2 * Math.PI) / 5),
    50 + 40 * Math.cos((i * 2 * Math.PI) / 5),
  ])
  expect(rasterise(star, 100, 100).inside[50 * 100 + 50]).toBe(1)
})

test('points in a circle are those near its centre', () => {
  const map = normals(1, 20_000)
  const held = within(circle(0.3, -0.2, 0.8), map)
  let wrong = 0
  held.forEach(
    (one, i) =>
      (wrong += Number(Math.hypot(map[2 * i] - 0.3, map[2 * i + 1] + 0.2) < 0.8 !== Boolean(one))),
  )
  expect(wrong).toBeLessThan(30)
  expect(indices(held).length).toBeGreaterThan(1000)
})

test('a click and a line hold nothing', () => {
  expect(indices(within([[0, 0]], normals(1, 10)))).toHaveLength(0)
  expect(
    indices(
      within(
        [
          [0, 0],
          [1, 1],
        ],
        normals(1, 10),
      ),
    ),
  ).toHaveLength(0)
})

test('strokes replace, add and subtract in order', () => {
  const map = Float32Array.of(0.5, 0.5, 1.5, 0.5, 2.5, 0.5)
  const box = (from: number, to: number): Point[] => rectangle([from, 0], [to, 1])
  const of = (...strokes: Parameters<typeof selected>[0]): number[] => [
    ...indices(selected(strokes, map)),
  ]
  expect(
    of({ operation: 'replace', outline: box(0, 1) }, { operation: 'add', outline: box(2, 3) }),
  ).toEqual([0, 2])
  expect(
    of({ operation: 'replace', outline: box(0, 3) }, { operation: 'subtract', outline: box(1, 2) }),
  ).toEqual([0, 2])
  expect(
    of({ operation: 'replace', outline: box(0, 3) }, { operation: 'replace', outline: box(1, 2) }),
  ).toEqual([1])
  expect(of()).toEqual([])
})

test('simplifying keeps the shape', () => {
  const few = simplified(circle(0, 0, 1), 0.01)
  expect(few.length).toBeLessThan(60)
  const map = normals(2, 4000)
  const [all, kept] = [within(circle(0, 0, 1), map), within(few, map)]
  expect(all.filter((one, i) => one !== kept[i]).length).toBeLessThan(30)
})

test('undo and redo walk the states, and a new one forgets the undone', () => {
  const three = commit(commit(begin(1), 2), 3)
  expect(undo(undo(undo(three))).now).toBe(1)
  expect(redo(undo(three)).now).toBe(3)
  expect(redo(commit(undo(three), 9)).now).toBe(9)
  expect(undo(commit(undo(three), 9)).now).toBe(2)
})
