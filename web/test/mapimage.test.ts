import { expect, test } from 'vitest'
import { escaped, ticks, toSVG } from '../src/core/mapimage'

const view = { scale: 100, x: 200, y: 150, width: 400, height: 300 }

test('ticks are round and inside', () => {
  expect(ticks(-2, 2, 4)).toEqual([-2, -1, 0, 1, 2])
  expect(ticks(0.13, 0.58, 5)).toEqual([0.2, 0.3, 0.4, 0.5])
  expect(ticks(-1.5, 1.5)).toContain(0)
})

test('names are text in the SVG, whatever they hold', () => {
  const name = `</text><script>alert("1")</script>&'`
  const svg = toSVG({
    view,
    axes: ['z1', name],
    ways: [{ path: [[0, 0], [1, 1]], dash: [2, 6], chosen: true }],
    marks: [{ text: 'A', at: [0, 0] }, { text: '', at: [1, 1] }],
    legend: { title: name, entries: [{ name, colour: '#fff' }] },
    outlines: [
      {
        name,
        points: [
          [0, 0],
          [1, 0],
          [0, 1],
        ],
      },
    ],
    labels: [{ text: name, at: [0, 0] }],
    raster: null,
    points: [{ at: [1, 1], colour: 'red' }],
  })
  expect(svg.match(/<polyline/g)).toHaveLength(2) // the path, dark and bright
  expect(svg).toContain('stroke-dasharray="2 6"')
  expect(svg).toContain('>A</text>')
  expect(svg).not.toContain('<script')
  expect(svg.match(/<text/g)!.length).toBe(svg.match(/<\/text>/g)!.length)
  expect(svg).toContain('<circle cx="300" cy="50"')
  expect(svg).toContain('points="200,150 300,150 200,50"')
})

test('characters XML forbids are dropped', () => {
  expect(escaped('a\u0000b\tc<')).toBe('ab\tc&#60;')
})
