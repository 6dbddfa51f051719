import { describe, expect, test } from 'vitest'
import type { Manifest } from '../src/core/manifest'
import type { DataSource } from '../src/core/source'
import { Dropped, Engine, selfTest } from '../src/engine/engine'
import type { FromWorker, Port, ToWorker } from '../src/engine/protocol'

type Run = Extract<ToWorker, { kind: 'run' }>

/** A worker that answers when told: each image is twice its code. */
class Fake implements Port {
  onmessage: Port['onmessage'] = null
  onerror: Port['onerror'] = null
  readonly runs: Run[] = []
  refuses: string | undefined
  readonly bound: (string[] | null)[] = []

  postMessage(message: ToWorker): void {
    if (message.kind === 'start') this.answer({ kind: 'ready' })
    if (message.kind === 'open') this.answer({ kind: 'opened', network: message.network, problem: this.refuses })
    if (message.kind === 'bind') this.bound.push(message.weights?.map(({ name }) => name) ?? null)
    if (message.kind === 'run') this.runs.push(message)
  }

  terminate(): void {}

  answer(data: FromWorker): void {
    this.onmessage?.({ data } as MessageEvent<FromWorker>)
  }

  /** Answers the run that waits. */
  finish(): number[] {
    const { id, inputs } = this.runs.at(-1)!
    this.answer({ kind: 'result', id, outputs: [inputs[0].data.map((value) => 2 * value)] })
    return [...inputs[0].data]
  }
}

const manifest = (conditional: number | null): Manifest =>
  ({
    data: { classes: ['a', 'b', 'c'], shape: [1, 1, 1] },
    model: {
      latent: 1,
      conditional,
      decoder: { input: conditional ? ['z', 'c'] : ['z'], output: 'x' },
      encoder: { input: ['x'], output: ['mean'] },
    },
  }) as unknown as Manifest

const parcel = async (name: string): Promise<object> => ({ name, packed: new Uint8Array(1) })
const source = { parcel, has: () => true } as unknown as DataSource

async function started(conditional: number | null = null): Promise<[Engine, Fake]> {
  const port = new Fake()
  const engine = new Engine(manifest(conditional), port)
  await engine.start(source)
  return [engine, port]
}

const at = (...z: number[]): Float32Array => Float32Array.from(z)

describe('the queue', () => {
  test('the newest pointer place wins and the one that waited is dropped', async () => {
    const [engine, port] = await started()
    const first = engine.hover(at(1))
    const second = engine.hover(at(2))
    const third = engine.hover(at(3))
    await expect(second).rejects.toBeInstanceOf(Dropped)
    expect(port.finish()).toEqual([1])
    expect(port.finish()).toEqual([3])
    expect([...(await first), ...(await third)]).toEqual([2, 6])
  })

  test('the pointer comes before what was asked for, and the background last', async () => {
    const [engine, port] = await started()
    const background = [10, 11]
    const done: number[] = []
    engine.fill(() => {
      const z = background.shift()
      return z ? { z: at(z), count: 1, done: ([x]) => done.push(x), failed: () => {} } : null
    })
    const asked = engine.decode(at(5))
    const hovered = engine.hover(at(7))
    const order = [port.finish(), port.finish(), port.finish(), port.finish()].flat()
    expect(order).toEqual([10, 7, 5, 11])
    expect([...(await asked), ...(await hovered)]).toEqual([10, 14])
    expect(done).toEqual([20, 22])
  })
})

test('many codes go in batches and come back in order', async () => {
  const [engine, port] = await started()
  const answer = engine.decode(Float32Array.from({ length: 130 }, (_, i) => i))
  expect([port.finish().length, port.finish().length, port.finish().length]).toEqual([64, 64, 2])
  expect([...(await answer)]).toEqual(Array.from({ length: 130 }, (_, i) => 2 * i))
})

test('a conditional decoder is told the class, one-hot per code', async () => {
  const [engine, port] = await started(3)
  engine.condition = 1
  void engine.decode(at(4, 5))
  const [z, c] = port.runs[0].inputs
  expect([z.name, z.shape, c.name, c.shape]).toEqual(['z', [2, 1], 'c', [2, 3]])
  expect([...c.data]).toEqual([0, 1, 0, 0, 1, 0])
})

test('a parametric network is opened before it is given weights', async () => {
  const [engine, port] = await started()
  await engine.openParametric('decoder', new Uint8Array(1))
  engine.bind('decoder', [{ name: 'w', data: new Float32Array(1), shape: [1] }])
  engine.bind('decoder', null)
  expect(port.bound).toEqual([['w'], null])
})

test('a parametric network that cannot be opened is told, and what runs goes on', async () => {
  const [engine, port] = await started()
  port.refuses = 'no such layer'
  const decoding = engine.decode(at(1))
  await expect(engine.openParametric('decoder', new Uint8Array(1))).rejects.toThrow('no such layer')
  port.finish()
  expect([...(await decoding)]).toEqual([2])
})

test('the self-test of a conditional decoder tells each code its own class', async () => {
  const [engine, port] = await started(3)
  const tables: Record<string, number[]> = { selftest_z: [1, 2], selftest_c: [0, 0, 1, 1, 0, 0] }
  const floats = async (name: string): Promise<Float32Array> => at(...(tables[name] ?? [2, 4]))
  const worst = selfTest(engine, { floats, has: () => true } as unknown as DataSource)
  await new Promise((resolve) => setTimeout(resolve))
  expect([...port.runs[0].inputs[1].data]).toEqual([0, 0, 1, 1, 0, 0])
  port.finish()
  expect(await worst).toBe(0)
})

test('a ladder stands at its layers’ means unless told, and batches keep rows together', async () => {
  const port = new Fake()
  const ladder = manifest(null)
  Object.assign(ladder.model, { below: [2, 1], decoder: { input: ['z', 'below', 'keep'], output: 'x' } })
  const engine = new Engine(ladder, port)
  await engine.start(source)
  void engine.decode(at(4, 5))
  const [, below, keep] = port.runs[0].inputs
  expect([below.shape, keep.shape]).toEqual([[2, 3], [2, 2]])
  expect([...below.data, ...keep.data]).toEqual(Array(10).fill(0))
  port.finish()
  const rows = Array.from({ length: 70 }, (_, i) => i)
  void engine.decode(at(...rows), { below: at(...rows.flatMap((i) => [i, i, i])) })
  port.finish()
  expect([...port.runs[2].inputs[1].data.slice(0, 4)]).toEqual([64, 64, 64, 65])
})

test('one failed call does not stop the next', async () => {
  const [engine, port] = await started()
  const failing = engine.decode(at(1))
  port.answer({ kind: 'failed', id: 1, message: 'no memory' })
  await expect(failing).rejects.toThrow('no memory')
  const next = engine.decode(at(2))
  port.finish()
  expect([...(await next)]).toEqual([4])
})

test('the self-test finds the worst difference, and a NaN never passes', async () => {
  const worst = async (expected: number[]): Promise<number> => {
    const [engine, port] = await started()
    const floats = async (name: string): Promise<Float32Array> =>
      name === 'selftest_z' ? at(1, 2) : Float32Array.from(expected)
    const has = (): boolean => false
    const found = selfTest(engine, { floats, has } as unknown as DataSource)
    await new Promise((resolve) => setTimeout(resolve))
    port.finish()
    return found
  }
  expect(await worst([2, 4.5])).toBe(0.5)
  expect((await worst([NaN, 4])) <= 1e-3).toBe(false)
  expect(await worst([2])).toBe(Infinity)
})
