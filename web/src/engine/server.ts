/** The server of a run: its blobs, originals, geodesics, regions, its training, and networks too large for a page. */

import { PageError, type Manifest } from '../core/manifest'
import { DataSource } from '../core/source'
import type { Parcel } from '../core/unpack'
import type { All, Backend, Checkpoint, Listener, Row, SomeImages, Train } from './backend'
import { PageBackend } from './page'
import type { FromWorker, Input, Port, ToWorker } from './protocol'

type Run = Extract<ToWorker, { kind: 'run' }>
type Floats = Float32Array<ArrayBuffer>

export class ServerPort implements Port {
  onmessage: Port['onmessage'] = null
  onerror: Port['onerror'] = null
  private open = true

  constructor(private readonly manifest: Manifest) {}

  postMessage(message: ToWorker): void {
    if (message.kind === 'start') this.say({ kind: 'ready' })
    if (message.kind === 'run') void this.run(message)
  }

  terminate(): void {
    this.open = false
  }

  private say(data: FromWorker): void {
    if (this.open) this.onmessage?.({ data } as MessageEvent<FromWorker>)
  }

  private async run(message: Run): Promise<void> {
    const { id, network, inputs } = message
    try {
      const outputs = await (network === 'decoder' ? this.decode(inputs) : this.encode(message))
      this.say({ kind: 'result', id, outputs })
    } catch (error) {
      this.say({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) })
    }
  }

  private async decode(inputs: Input[]): Promise<Floats[]> {
    const [z, c] = ['z', 'c'].map((name) => inputs.find((input) => input.name === name))
    const body = JSON.stringify({ z: rows(z!), ...(c && { c: rows(c).map(label) }) })
    return [await ask('decode', body, 'application/json')]
  }

  /** Means, then log σ², as many of each as there are images; of anything else, nothing. */
  private async encode({ inputs: [x, c], outputs }: Run): Promise<Floats[]> {
    const path = `codes?class=${c ? label(rows(c)[0]) : 0}`
    const found = await ask(path, x.data, 'application/octet-stream')
    const each = x.shape[0] * this.manifest.model.latent
    return outputs.map((name, n) => (SENT.includes(name) ? found.slice(n * each, (n + 1) * each) : new Float32Array()))
  }
}

const SENT = ['mean', 'log_var']

function rows({ data, shape: [count, width] }: Input): number[][] {
  return Array.from({ length: count }, (_, n) => Array.from(data.subarray(n * width, (n + 1) * width)))
}

/** Which class a row of weights names. */
const label = (weights: number[]): number => weights.indexOf(1)

async function ask(path: string, body: BodyInit, type: string): Promise<Floats> {
  const answer = await send('POST', path, body, type)
  if (!answer?.ok) throw new Error(`The server answered ${answer?.status ?? 'nothing'}.`)
  return new Float32Array(await answer.arrayBuffer())
}

/** The server's answer; null where there is none. */
function send(method: string, path: string, body?: BodyInit, type?: string): Promise<Response | null> {
  return fetch(path, { method, body, headers: type ? { 'content-type': type } : {} }).catch(() => null)
}

const JSON_TYPE = 'application/json'

/** Blobs fetched from the server, already unpacked. */
export class HttpSource extends DataSource {
  async parcel(name: string): Promise<Parcel> {
    const answer = await send('GET', `blob/${encodeURIComponent(name)}`)
    if (!answer?.ok) throw new PageError(`The server answered ${answer?.status ?? 'nothing'} for “${name}”.`)
    const packed = new Uint8Array(await answer.arrayBuffer())
    return { name, entry: this.manifest.blobs[name], packed }
  }

  async whole(): Promise<void> {}
}

export class ServerBackend extends PageBackend implements Backend {
  override readonly sealed = false
  override readonly pictured: boolean
  override readonly train: Train | null
  override readonly all: All | null

  constructor(source: DataSource, worker: () => Port) {
    super(source, worker)
    const { following, pyramid } = source.manifest
    this.train = following ? new Followed() : null
    this.all = pyramid ? new Served() : null
    this.pictured = pyramid?.pictured ?? true
  }

  /** Whether the server runs the networks, because they are too large to travel. */
  private get runs(): boolean {
    return !this.source.has('decoder')
  }

  override get encodes(): boolean {
    return super.encodes || this.runs
  }

  protected override port(): Port {
    return this.runs ? new ServerPort(this.source.manifest) : super.port()
  }

  override original = async (index: number): Promise<Float32Array | null> => {
    const answer = this.pictured ? await send('GET', `original/${index}`) : null
    if (!answer?.ok) return null
    return Float32Array.from(new Uint8Array(await answer.arrayBuffer()), (value) => value / 255)
  }

  override geodesic = async (
    a: Float32Array,
    b: Float32Array,
    steps: number,
    weight: number,
  ): Promise<Float32Array | null> => {
    const body = JSON.stringify({ a: Array.from(a), b: Array.from(b), steps, weight })
    const answer = await send('POST', 'geodesic', body, JSON_TYPE)
    if (!answer?.ok) return null
    return Float32Array.from(((await answer.json()) as { path: number[][] }).path.flat())
  }

  override regions = async (): Promise<unknown> => {
    const answer = await send('GET', 'regions')
    return answer?.ok ? ((await answer.json()) as { regions?: unknown }).regions : []
  }

  override async keep(regions: readonly unknown[]): Promise<boolean> {
    return (await send('PUT', 'regions', JSON.stringify({ regions }), JSON_TYPE))?.ok ?? false
  }
}

class Served implements All {
  async tile(depth: number, i: number, j: number): Promise<ArrayBuffer | null> {
    const answer = await send('GET', `tile/${depth}/${i}/${j}`)
    return answer?.ok ? answer.arrayBuffer() : null
  }

  async region(request: string): Promise<(SomeImages & { count: number; classes: number[] }) | null> {
    const answer = await send('POST', 'region', request, JSON_TYPE)
    return answer?.ok ? answer.json() : null
  }

  async table(request: string): Promise<Blob | null> {
    const answer = await send('POST', 'export', request, JSON_TYPE)
    return answer?.ok ? answer.blob().catch(() => null) : null
  }

  async image(which: { id: string } | { row: number }): Promise<SomeImages | null> {
    const answer = await send('POST', 'image', JSON.stringify(which), JSON_TYPE)
    return answer?.ok ? answer.json() : null
  }
}

/** Lost connections in a row before the page gives up. */
const PATIENCE = 5

class Followed implements Train {
  listen({ logged, saved, ended, lost }: Listener): void {
    const events = new EventSource('events')
    const read = (event: Event): Row => JSON.parse((event as MessageEvent<string>).data) as Row
    events.addEventListener('tick', (event) => logged(read(event)))
    events.addEventListener('checkpoint', (event) => saved(read(event).step))
    events.addEventListener('end', () => {
      ended()
      events.close()
    })
    let failures = 0
    events.addEventListener('open', () => (failures = 0))
    events.addEventListener('error', () => {
      if (++failures < PATIENCE) return
      events.close()
      lost()
    })
  }

  async newest(): Promise<Checkpoint | null> {
    const answer = await send('GET', 'checkpoint')
    if (!answer?.ok) return null
    return { step: Number(answer.headers.get('x-step')), numbers: new Float32Array(await answer.arrayBuffer()) }
  }
}
