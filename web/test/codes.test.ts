import { expect, test } from 'vitest'
import { byUse, Codebook, columnsFor, holders, usage } from '../src/core/codes'

// Two tables of three vectors each, two numbers wide; z has two parts.
const vectors = Float32Array.of(0, 0, 10, 0, 0, 10, /**/ 0, 0, 1, 0, 0, 1)
const book = new Codebook(vectors, { parts: 2, tables: 2, size: 3 })

test('a part of z is the sum of one vector of every table, part by part', () => {
  expect([...book.lookup([1, 2, 0, 1])]).toEqual([10, 1, 1, 0])
  expect([...book.lookup([1, 2, 0, 1, 2, 2, 2, 0])]).toEqual([10, 1, 1, 0, 0, 11, 0, 10])
})

test('the nearest code is the code itself, and its own for what lies close', () => {
  const codes = [2, 1, 1, 0]
  expect([...book.nearest(book.lookup(codes))]).toEqual(codes)
  expect([...book.nearest(Float32Array.of(0.9, 9.9, 10.2, 0.1))]).toEqual(codes)
  expect([...book.snap(Float32Array.of(0.9, 9.9, 10.2, 0.1))]).toEqual([1, 10, 10, 0])
})

test('a beam finds the summands that going table by table misses', () => {
  // 0 + 4 is reached only by way of the vector farther from 4.
  const one = new Codebook(Float32Array.of(0, 3, /**/ 4, 0.2), { parts: 1, tables: 2, size: 2 })
  const z = one.lookup([0, 0])
  expect([...one.nearest(z)]).toEqual([1, 1])
  expect([...one.nearest(z, 4)]).toEqual([0, 0])
})

test('use, order of use and who has a code', () => {
  const codes = Uint8Array.of(0, 2, 1, 2, 1, 0)
  expect([...usage(codes, 2, 0, 3)]).toEqual([1, 2, 0])
  expect([...usage(codes, 2, 1, 3)]).toEqual([1, 0, 2])
  expect(byUse(usage(codes, 2, 1, 3))).toEqual([2, 0, 1])
  expect(holders(codes, 2, 1, 2)).toEqual([0, 1])
})

test('grids come out even', () => {
  expect([1, 2, 4, 6, 12, 16, 49, 32, 7].map(columnsFor)).toEqual([1, 2, 2, 3, 4, 4, 7, 8, 3])
})
