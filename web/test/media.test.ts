import { expect, test } from 'vitest'
import { enlarged, toGIF } from '../src/core/media'

const frames = (count: number, C: number) =>
  Array.from({ length: count }, (_, i) =>
    Float32Array.from({ length: C * 6 }, (_, p) => ((p + i) % 6) / 5),
  )

test('enlarging repeats pixels and nothing else', () => {
  const two = Uint8ClampedArray.of(1, 2, 3, 255, 9, 8, 7, 255)
  expect([...enlarged(two, 2, 2)].filter((_, i) => i % 4 === 0)).toEqual([1, 1, 9, 9, 1, 1, 9, 9])
})

test('the GIF has its size, its frames and its delays, and ends as a GIF does', () => {
  for (const C of [1, 3]) {
    const gif = toGIF({ frames: frames(5, C), shape: [C, 2, 3] }, 80, 4)
    const text = String.fromCharCode(...gif)
    expect(text.slice(0, 6)).toBe('GIF89a')
    expect([gif[6] + 256 * gif[7], gif[8] + 256 * gif[9]]).toEqual([12, 8])
    const controls = [...text.matchAll(/\x21\xf9\x04([\s\S])([\s\S])([\s\S])/g)]
    expect(controls).toHaveLength(5)
    controls.forEach((control) => expect(control[2].charCodeAt(0)).toBe(8))
    expect(text).toContain('NETSCAPE2.0')
    expect(gif.at(-1)).toBe(0x3b)
  }
})
