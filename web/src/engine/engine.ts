/** The run's decoder and encoder, in a worker: latent codes to images and back. */

import type { Manifest } from '../core/manifest'
import type { DataSource } from '../core/source'
import type { Parcel } from '../core/unpack'
import type { FromWorker, Input, Network, Networks, Port } from './protocol'
import { Dropped, Queue, type Job, type Told } from './queue'

export { Dropped, type Job, type Told }

export type Floats = Float32Array<ArrayBuffer>

export interface Encoded {
  /** Posterior means, one latent code per image. */
  mean: Floats
  /** log σ² per latent dimension, where the posterior is a diagonal Gaussian. */
  logVar: Floats | null
  /** Indices of discrete codes. */
  codes: Floats | null
  /** Numbers of the layers below the top of a ladder. */
  below: Floats | null
}

/** One call of a network, in flight or waiting. */
interface Call {
  network: Network
  inputs: Input[]
  outputs: string[]
  done: (outputs: Floats[]) => void
  failed: (error: Error) => void
}

const BATCH = 64

export class EngineError extends Error {}

export class Engine {
  /** The class the decoder is told, for a conditional model. */
  condition = 0
  private readonly queue = new Queue()
  private readonly calls: Call[] = []
  private running: Call | null = null
  private ready = false
  private id = 0

  constructor(
    private readonly manifest: Manifest,
    private readonly port: Port,
  ) {
    port.onmessage = ({ data }) => this.heard(data)
    port.onerror = (event) => this.broken(new EngineError(event.message || 'the worker stopped'))
  }

  private readonly opened: Partial<Record<Network, (problem?: string) => void>> = {}
  private started: { done: () => void; failed: (error: Error) => void } | null = null

  /** Resolves once both networks are open, or what runs those that are opened later; EngineError when they cannot be. */
  async start(source: DataSource, bare = false): Promise<void> {
    const networks = source.has('decoder') || bare ? await carried(source, bare) : null
    await new Promise<void>((done, failed) => {
      this.started = { done, failed }
      this.port.postMessage({ kind: 'start', networks }, transferable(networks ?? {}))
    })
    this.ready = true
    this.advance()
  }

  /** Opens a network that is given its weights: `bind` says which. */
  openParametric(network: Network, model: Uint8Array<ArrayBuffer>): Promise<void> {
    return new Promise((done, failed) => {
      this.opened[network] = (problem) => (problem ? failed(new EngineError(problem)) : done())
      this.port.postMessage({ kind: 'open', network, model }, [model.buffer])
    })
  }

  /** Decodes, or encodes, with these weights from now on; null: with the run's own again. */
  bind(network: Network, weights: Input[] | null): void {
    this.port.postMessage({ kind: 'bind', network, weights }, [])
  }

  /** The image at one code for the pointer: a newer call drops a waiting one (`Dropped`). */
  hover(z: Float32Array): Promise<Floats> {
    return this.queued(z, (job) => this.queue.hover(job))
  }

  /** The images at the codes, one after the other: each C × H × W numbers in [0, 1]. */
  async decode(z: Float32Array, told: Told = {}): Promise<Floats> {
    const D = this.manifest.model.latent
    const count = z.length / D
    const parts: Promise<Floats>[] = []
    for (let i = 0; i < count; i += BATCH)
      parts.push(
        this.queued(rowsOf(z, count, i), (job) => this.queue.ask(job), {
          c: told.c && rowsOf(told.c, count, i),
          below: told.below && rowsOf(told.below, count, i),
          keep: told.keep && rowsOf(told.keep, count, i),
        }),
      )
    return joined(await Promise.all(parts))
  }

  /** Decodes what `next` gives whenever nothing else waits; call again when there is more. */
  fill(next: () => Job | null): void {
    this.queue.background = next
    this.advance()
  }

  /** Where the images lie: each C × H × W numbers in [0, 1]. */
  encode(x: Float32Array, { c }: Told = {}): Promise<Encoded> {
    const { model, data } = this.manifest
    const { input, output } = model.encoder
    const count = x.length / (data.shape[0] * data.shape[1] * data.shape[2])
    const inputs = this.inputs(input, count, { x, c })
    return this.run('encoder', inputs, output).then((found) => {
      const of = (name: string): Floats | null => {
        const numbers = found[output.indexOf(name)]
        return numbers?.length ? numbers : null
      }
      return { mean: of('mean')!, logVar: of('log_var'), codes: of('codes'), below: of('below') }
    })
  }

  /** One call of a network: what it gives under these names. The inputs go to the worker. */
  run(network: Network, inputs: Input[], outputs: string[]): Promise<Floats[]> {
    return new Promise((done, failed) => {
      this.calls.push({ network, inputs, outputs, done, failed })
      this.advance()
    })
  }

  /** Ends the worker; nobody waits for what it was asked. */
  close(): void {
    this.ready = false
    this.port.terminate()
  }

  stop(error: Error): void {
    this.ready = false
    this.queue.clear(error)
    for (const call of this.calls.splice(0)) call.failed(error)
    this.port.terminate()
  }

  private queued(z: Float32Array, put: (job: Job) => void, told?: Told): Promise<Floats> {
    return new Promise((done, failed) => {
      put({ z, count: z.length / this.manifest.model.latent, told, done, failed })
      this.advance()
    })
  }

  private inputs(
    names: string | string[],
    count: number,
    given: Record<string, Float32Array | undefined>,
  ): Input[] {
    return [names].flat().map((name) => {
      const data = new Float32Array(given[name] ?? this.usual(name, count))
      const shape = name === 'x' ? this.manifest.data.shape : [data.length / count]
      return { name, data, shape: [count, ...shape] }
    })
  }

  /** What a network is told where nobody says anything: the class chosen; layers at their means. */
  private usual(name: string, count: number): Float32Array {
    const { below } = this.manifest.model
    if (name === 'c') return this.oneHot(count, this.condition)
    const width = name === 'keep' ? below!.length : below!.reduce((sum, size) => sum + size, 0)
    return new Float32Array(count * width)
  }

  private oneHot(count: number, condition: number): Float32Array {
    const classes = this.manifest.model.conditional ?? this.manifest.data.classes.length
    const data = new Float32Array(count * classes)
    for (let row = 0; row < count; row++) data[row * classes + condition] = 1
    return data
  }

  private decoding({ z, count, told, done: put, failed }: Job): Call {
    const { decoder } = this.manifest.model
    const inputs = this.inputs(decoder.input, count, { z, ...told })
    const done = ([images]: Floats[]): void => put(images)
    return { network: 'decoder', inputs, outputs: [decoder.output], done, failed }
  }

  /** Keeps one call in flight: whatever is newest and most urgent goes when it comes back. */
  private advance(): void {
    if (!this.ready || this.running) return
    const call = this.calls.shift() ?? this.nextDecoding()
    if (!call) return
    this.running = call
    const { network, inputs, outputs } = call
    const transfer = inputs.map((input) => input.data.buffer)
    this.port.postMessage({ kind: 'run', id: ++this.id, network, inputs, outputs }, transfer)
  }

  private nextDecoding(): Call | null {
    const job = this.queue.next()
    return job && this.decoding(job)
  }

  private heard(message: FromWorker): void {
    if (message.kind === 'ready') return this.started?.done()
    if (message.kind === 'opened') return this.opened[message.network]?.(message.problem)
    const call = this.running
    this.running = null
    if (message.kind === 'result') call?.done(message.outputs)
    else this.refused(call, new EngineError(message.message))
    this.advance()
  }

  private refused(call: Call | null, error: EngineError): void {
    if (call) call.failed(error)
    else this.started?.failed(error)
  }

  private broken(error: EngineError): void {
    this.started?.failed(error)
    this.running?.failed(error)
    this.stop(error)
  }
}

const carried = async (source: DataSource, bare: boolean): Promise<Networks> => ({
  wasm: await source.parcel('ort_wasm'),
  decoder: source.has('decoder') && !bare ? await source.parcel('decoder') : null,
  encoder: source.has('encoder') && !bare ? await source.parcel('encoder') : null,
})

const transferable = (networks: object): Transferable[] =>
  Object.values(networks)
    .filter((parcel): parcel is Parcel => parcel !== null)
    .map(({ packed }) => packed.buffer)

/** A batch of a table of `count` rows, from row `i` on. */
const rowsOf = (table: Float32Array, count: number, i: number): Float32Array =>
  table.slice((i * table.length) / count, (Math.min(i + BATCH, count) * table.length) / count)

function joined(parts: Floats[]): Floats {
  if (parts.length === 1) return parts[0]
  const whole = new Float32Array(parts.reduce((total, part) => total + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The largest difference between the page's images and Python's, over the reference codes. */
export async function selfTest(engine: Engine, source: DataSource): Promise<number> {
  const expected = await source.floats('selftest_x')
  const c = source.has('selftest_c') ? await source.floats('selftest_c') : undefined
  const found = await engine.decode(await source.floats('selftest_z'), { c })
  if (found.length !== expected.length) return Infinity
  let worst = 0
  for (let i = 0; i < found.length; i++)
    worst = Math.max(worst, Math.abs(found[i] - expected[i]))
  return worst
}
