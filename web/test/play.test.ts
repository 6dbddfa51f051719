import { describe, expect, it } from 'vitest'
import { Messages, readFrame } from '../src/engine/frames'

/** A message as Python packs it: its length, the header's length, the header, and numbers. */
function packed(about: object, numbers: number[]): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(about))
  const body = new Uint8Array(8 + text.length + 2 * numbers.length)
  const view = new DataView(body.buffer)
  view.setUint32(0, body.length - 4, true)
  view.setUint32(4, text.length, true)
  body.set(text, 8)
  numbers.forEach((value, i) => view.setUint16(8 + text.length + 2 * i, value, true))
  return body
}

const ABOUT = { step: 7, weights: [['w', [2]]], count: 2, scale: [[-1, 1], [0, 10]], log_var: false }
/** Halves 1 and −2, then codes at the ends and between. */
const NUMBERS = [0x3c00, 0xc000, 0, 65535, 65535, 13107]

describe('frames of a training', () => {
  it('are read with any length of header', () => {
    for (const padding of ['', 'x', 'xy', 'xyz']) {
      const frame = readFrame(packed({ ...ABOUT, problem: padding }, NUMBERS).slice(4))
      expect(frame.about.step).toBe(7)
      expect(Array.from(frame.weights[0].data)).toEqual([1, -2])
      expect(Array.from(frame.latents)).toEqual([-1, 10, 1, 2])
      expect(frame.logVars).toBeNull()
    }
  })

  it('are whole, however the stream is cut', () => {
    const [one, two] = [packed(ABOUT, NUMBERS), packed({ ...ABOUT, step: 8 }, NUMBERS)]
    const stream = new Uint8Array([...one, ...two])
    for (const size of [1, 3, 7, one.length, one.length + 2, stream.length]) {
      const messages = new Messages()
      const steps: number[] = []
      for (let at = 0; at < stream.length; at += size)
        for (const message of messages.add(stream.slice(at, at + size))) steps.push(readFrame(message).about.step)
      expect(steps).toEqual([7, 8])
    }
  })
})
