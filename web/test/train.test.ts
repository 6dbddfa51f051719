import { beforeEach, describe, expect, it } from 'vitest'
import { Batches, beginning, noise, split } from '../src/core/batches'
import type { Manifest, Trainable } from '../src/core/manifest'
import { uniforms } from '../src/core/seeded'
import type { DataSource } from '../src/core/source'
import { Engine } from '../src/engine/engine'
import type { Frame } from '../src/engine/frames'
import type { FromWorker, Port, ToWorker } from '../src/engine/protocol'
import { PagePlay } from '../src/engine/train'

const TRAINABLE: Trainable = {
  batch: 4,
  weights: 5,
  points: 9,
  knobs: { beta: 1, lr: 0.01, seed: 0 },
  start: [['normal', 2, 1], ['uniform', 0.5, 2], ['mean', 0.001, 2], ['constant', -7, 3]],
}

describe('what a training begins with', () => {
  it('is held out in one image of ten, each image once', () => {
    const { trained, held } = split(1000)
    expect(held.length).toBe(100)
    expect([...trained, ...held].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    expect(split(1000)).toEqual({ trained, held })
    expect(Math.max(...held)).toBeGreaterThan(900) // spread over the set
    expect(Math.min(...held)).toBeLessThan(100)
  })

  it('sees each image once in an epoch, in batches that are always full', () => {
    const batches = new Batches(10, 4, uniforms(1))
    const stream = Array.from({ length: 5 }, () => [...batches.next()]).flat()
    for (const epoch of [stream.slice(0, 10), stream.slice(10)])
      expect(epoch.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(stream.slice(0, 10)).not.toEqual(stream.slice(10))
  })

  it('has the spread of every part', () => {
    const start: Trainable['start'] = [['normal', 2, 4000], ['uniform', 0.5, 4000], ['mean', 0.1, 2], ['constant', -7, 2]]
    const state = beginning(start, Float32Array.of(0.25, 0), uniforms(3))
    const deviation = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length)
    expect(deviation(state.subarray(0, 4000))).toBeCloseTo(2, 0.5)
    expect(deviation(state.subarray(4000, 8000))).toBeCloseTo(0.5 / Math.sqrt(3), 1)
    expect(Math.max(...state.subarray(4000, 8000))).toBeLessThanOrEqual(0.5)
    expect(state[8000]).toBeCloseTo(Math.log(0.25 / 0.75), 5)
    expect(state[8001]).toBeCloseTo(Math.log(0.1 / 0.9), 5) // black is kept from infinity
    expect([...state.subarray(8002)]).toEqual([-7, -7])
  })

  it('draws places in tents as sums of two numbers', () => {
    const values = noise(20_000, 2, uniforms(5))
    const column = (at: number): number[] => Array.from({ length: 20_000 }, (_, n) => values[3 * n + at])
    const mean = (of: number[]): number => of.reduce((sum, value) => sum + value, 0) / of.length
    expect(mean(column(0))).toBeCloseTo(0.5, 1)
    expect(Math.max(...column(0))).toBeLessThanOrEqual(1)
    for (const at of [1, 2]) {
      expect(mean(column(at))).toBeCloseTo(1, 1)
      expect(mean(column(at).map((value) => (value - 1) ** 2))).toBeCloseTo(1 / 6, 2)
    }
  })
})

/** A worker whose steps add 1 to the state, and give a loss that falls. */
class Fake implements Port {
  onmessage: Port['onmessage'] = null
  onerror: Port['onerror'] = null
  readonly states: number[][] = []
  readonly settings: number[][] = []
  loss = (step: number): number => 100 - step

  postMessage(message: ToWorker): void {
    if (message.kind === 'start') this.answer({ kind: 'ready' })
    if (message.kind === 'open') this.answer({ kind: 'opened', network: message.network })
    if (message.kind !== 'run') return
    const { id, network, inputs } = message
    const given = Object.fromEntries(inputs.map(({ name, data }) => [name, data]))
    if (network === 'look') return this.answer({ kind: 'result', id, outputs: [new Float32Array(2), Float32Array.of(90, 5)] })
    this.states.push([...given.state])
    this.settings.push([...given.settings])
    const terms = Float32Array.of(this.loss(given.settings[2]), 1)
    this.answer({ kind: 'result', id, outputs: [given.state.map((value) => value + 1), terms] })
  }

  terminate(): void {}

  private answer(data: FromWorker): void {
    setTimeout(() => this.onmessage?.({ data } as MessageEvent<FromWorker>))
  }
}

class Page {
  hidden = false
  private waiting: (() => void)[] = []
  addEventListener(_: string, heard: () => void): void {
    this.waiting.push(heard)
  }
  removeEventListener(_: string, heard: () => void): void {
    this.waiting = this.waiting.filter((one) => one !== heard)
  }
  show(hidden: boolean): void {
    this.hidden = hidden
    for (const heard of this.waiting) heard()
  }
}

const manifest = { data: { shape: [1, 1, 2] }, model: { latent: 2 } } as unknown as Manifest
const source = {
  has: () => false,
  parcel: async () => ({ packed: new Uint8Array(1) }),
  bytes: async () => new Uint8Array(1),
} as unknown as DataSource
const pictures = { trained: Uint8Array.from({ length: 18 }, (_, i) => 14 * i), held: new Float32Array(2), size: 2 }

async function begun(): Promise<[PagePlay, Fake, () => Frame]> {
  const port = new Fake()
  const play = new PagePlay(TRAINABLE, 2, pictures, new Engine(manifest, port), source)
  let last: Frame | null = null
  play.heard = (frame) => (last = frame)
  await play.open()
  return [play, port, () => last!]
}

const until = async (seen: () => boolean): Promise<void> => {
  for (let i = 0; i < 500 && !seen(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(seen()).toBe(true)
}

describe('a training in the page', () => {
  const page = new Page()
  beforeEach(() => {
    page.hidden = false
    Object.assign(globalThis, { document: page })
  })

  it('hands on the state, the knobs and the number of steps', async () => {
    const [play, port, frame] = await begun()
    expect(play.note).toContain('9 to train on, 1 held out')
    await until(() => port.states.length > 4)
    expect(port.settings.slice(0, 3)).toEqual([0, 1, 2].map((step) => [1, Math.fround(0.01), step]))
    expect(port.states[2]).toEqual(port.states[0].map((value) => Math.fround(Math.fround(value + 1) + 1)))
    await play.say({ running: false, knobs: { beta: 4 } })
    await until(() => !frame().about.running)
    const { step, knobs, held_out: held } = frame().about
    expect(knobs.beta).toBe(4)
    expect(held).toEqual({ reconstruction: 90, kl: 5 })
    expect(frame().weights[0].data.length).toBe(5)
    expect(frame().about.epoch).toBeCloseTo((step * 4) / 9)
    await play.say({ steps: 1 })
    await until(() => frame().about.step === step + 1)
    expect(port.settings.at(-1)).toEqual([4, Math.fround(0.01), step])
    expect(port.states.length).toBe(step + 1)
    play.close()
  })

  it('starts again with the same numbers, or with those of another seed', async () => {
    const [play, port, frame] = await begun()
    await play.say({ again: true })
    const starts = (): number[][] => port.states.filter((_, i) => port.settings[i][2] === 0)
    await until(() => starts().length === 2)
    await play.say({ knobs: { seed: 8 } })
    await until(() => starts().length === 3)
    expect(starts()[1]).toEqual(starts()[0])
    expect(starts()[2]).not.toEqual(starts()[0])
    await until(() => frame().about.knobs.seed === 8)
    play.close()
  })

  it('rests while nobody looks, and says when it diverges', async () => {
    const [play, port, frame] = await begun()
    page.show(true)
    await until(() => port.states.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const done = port.states.length
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(port.states.length).toBe(done)
    port.loss = () => NaN
    page.show(false)
    await until(() => frame().about.problem.includes('diverged'))
    expect(frame().about.running).toBe(false)
    play.close()
  })
})
